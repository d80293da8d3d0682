"""The model hub: checkpoints fetched from it by their ids, and put there with a card.

Reads and writes folders of checkpoints (checkpoint.py says what lies in one). Everything that goes over the
network goes through `huggingface_hub`, which the extra `[transformers]` brings.
"""

import importlib.util
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tellvision.embedding.card import README, card
from tellvision.embedding.saving import ABOUT, CONFIG, FILES, save
from tellvision.records import InputError
from tellvision.store import atomic_write

if TYPE_CHECKING:
    from tellvision.embedding.model import TextVideoModel

INSTALL = "pip install 'tellvision[transformers]'"
TIMEOUT = 10.0  # seconds until the hub has to answer the first question


def save_pretrained(
    model: "TextVideoModel", folder: str | Path, about: Mapping[str, Any] | None = None, *, name: str | None = None
) -> None:
    """Write `model` to `folder` as a checkpoint with a card (README.md), ready to be given to others.

    Args:
        model: on any device.
        folder: made if it is not there.
        about: JSON values that say how it was made, see `card`, beside those of the checkpoint that the model
            was loaded from; they are kept in config.json.
        name: owner/name on the hub, for the card; None: the card says the folder.

    Raises:
        InputError: `folder` is a file, or cannot be written.
    """
    folder = Path(folder)
    known = vars(model).get(ABOUT)
    about = (known if isinstance(known, dict) else {}) | dict(about or {})
    try:
        save(model, folder, about)
        atomic_write(folder / README, card(model.config, about, name).encode())
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror or error}): name another folder") from None


def push_to_hub(
    model: "TextVideoModel",
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> str:
    """Put `model` with its card on the hub, as a new state of the repository `repo_id`.

    Args:
        model: on any device.
        repo_id: owner/name; the repository is made if it is not there.
        private: of a new repository; None: what is usual for its owner.
        token: that may write there; None: the one of `hf auth login` or HF_TOKEN.
        about: see `save_pretrained`.

    Returns:
        The address of what was written.

    Raises:
        InputError: `huggingface_hub` is not installed, no such id, nobody who may write there, no answer.
    """
    owner, _, name = repo_id.partition("/")
    if not owner or not name or "/" in name:
        raise InputError(f"{repo_id!r} is no id on the hub: give OWNER/NAME")
    client = _library(f"{repo_id} is on the model hub").HfApi(token=token, library_name="tellvision")
    with tempfile.TemporaryDirectory() as temporary:
        save_pretrained(model, temporary, about, name=repo_id)
        try:
            _ask(client, repo_id, missing=True)
            client.create_repo(repo_id, private=private, exist_ok=True)
            written = client.upload_folder(
                repo_id=repo_id,
                folder_path=temporary,
                commit_message="Upload a tellvision checkpoint",
                delete_patterns=["encoder/*"],  # of an encoder that is no more
            )
        except Exception as error:  # the client raises anything; it is told in one line
            raise InputError(f"{repo_id} was not written to the hub: {_reason(error)}") from None
    return str(written.commit_url)


def may_be_id(source: str | Path) -> bool:
    """Whether `source`, which does not exist here, may be meant for the hub: a mistyped path stays here."""
    if isinstance(source, Path) or source.startswith((".", "/", "~")):
        return False
    owner, _, name = source.partition("/")
    return bool(owner and name) and "/" not in name and not Path(owner).exists()


def fetch(name: str) -> Path:
    """The folder of a checkpoint on the hub, fetched; without the hub, what was fetched before.

    Args:
        name: owner/name.

    Raises:
        InputError: `huggingface_hub` is not installed, no such model, a private one, no checkpoint, no answer.
    """
    nothing = f"there is no checkpoint at {name}"
    library = _library(f"{nothing}; if it is the id of a model on the hub")
    print(f"{name} is no folder here; asking the model hub for it", file=sys.stderr)
    try:
        _ask(library.HfApi(library_name="tellvision"), name)
        folder = Path(library.snapshot_download(name, allow_patterns=list(FILES)))
    except Exception as error:  # the client raises anything; it is told in one line
        try:
            folder = Path(library.snapshot_download(name, allow_patterns=list(FILES), local_files_only=True))
        except Exception:  # nor was it fetched before: what the hub said is told
            raise InputError(f"{nothing}, and the hub gave none: {_reason(error)}") from None
        print(f"the hub gives nothing now ({_reason(error)}); taking what was fetched before", file=sys.stderr)
    if not (folder / CONFIG).is_file():
        raise InputError(f"{name} on the hub is no checkpoint of tellvision: it has no {CONFIG}")
    return folder


def _library(why: str) -> Any:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError(f"{why}: {INSTALL}")
    import huggingface_hub

    return huggingface_hub


def _ask(client: Any, name: str, *, missing: bool = False) -> None:
    """Ask for `name`, once and for `TIMEOUT` at most: the client's other requests wait and try for long.

    Args:
        client: of the hub.
        name: owner/name.
        missing: whether it is fine that there is none.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        client.model_info(name, timeout=TIMEOUT)
    except RepositoryNotFoundError as error:
        if not missing or error.response.status_code == 401:
            raise


def _reason(error: Exception) -> str:
    """What the client says, in one line and with the next step."""
    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if kind == "GatedRepoError":
        return "its owner asks to accept conditions first, on its page there"
    if status in (401, 403) or kind == "RepositoryNotFoundError":
        return "no such model, or it is private or not yours to write: log in (hf auth login, or HF_TOKEN)"
    if status is not None and status >= 500:
        return f"it is out of order (status {status}): try again later"
    if "Timeout" in kind or "Connect" in kind or "Network" in kind:
        return f"it cannot be reached ({kind})"
    return next((line.strip() for line in str(error).splitlines() if line.strip()), kind)
