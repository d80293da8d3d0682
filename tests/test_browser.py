"""The page in a real browser: a question typed, a hit clicked, the video at the right second."""

import contextlib
import shutil
import subprocess
import time

import httpx
import pytest

from test_search import built, clips_of, videos_of
from test_server import film, served

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ENTER, DOWN, ESCAPE = "\ue007", "\ue015", "\ue00c"
PATIENCE = 20  # seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver"),
]


class Browser:
    """The few WebDriver calls that the tests need."""

    def __init__(self, client, session):
        self._client, self._session = client, session

    def _call(self, method, command, body=None):
        answer = self._client.request(method, f"/session/{self._session}/{command}", json=body)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    def go(self, address):
        self._call("POST", "url", {"url": address})

    def back(self):
        self._call("POST", "back", {})

    def run(self, script):
        """What the JavaScript expression is worth on the page."""
        return self._call("POST", "execute/sync", {"script": f"return {script}", "args": []})

    def until(self, script):
        """Wait until the JavaScript expression is true, and give its value."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return value

    def _element(self, selector):
        found = self._call("POST", "element", {"using": "css selector", "value": selector})
        return next(iter(found.values()))

    def type(self, selector, text):
        self._call("POST", f"element/{self._element(selector)}/value", {"text": text})

    def click(self, selector):
        self._call("POST", f"element/{self._element(selector)}/click", {})

    def key(self, key):
        """Press and release, wherever the focus is."""
        strokes = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call("POST", "actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def log(self):
        return self._call("POST", "se/log", {"type": "browser"})


@contextlib.contextmanager
def started(profile):
    """A headless Chromium behind chromedriver, with a profile of its own."""
    driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        for line in driver.stdout:
            if "started successfully on port" in line:
                port = int(line.split("port ")[1].rstrip(".\n"))
                break
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            answer = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
            assert "sessionId" in answer, answer
            yield Browser(client, answer["sessionId"])
            client.delete(f"/session/{answer['sessionId']}")
    finally:
        driver.terminate()
        driver.wait(20)
        driver.stdout.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    films = {
        "kitchen/50% eggs #1": film(folder / "eggs.mp4", 12),
        "board": film(folder / "board.mp4", 12, ((30, 90, 30), (200, 200, 60))),
        "broken": folder / "broken.mp4",
    }
    films["broken"].write_text("no video")
    eggs, board, broken = films
    lines = [
        (board, 2.0, 4.0, "sand the wooden board"),
        (eggs, 7.5, 10.0, "Crack two eggs & <script>window.bad = 1</script><img src=x onerror='window.bad = 1'>"),
        (eggs, 1.0, 3.0, "wash your hands before that"),
        (broken, 4.0, 6.0, "varnish it"),
    ]
    built(folder / "index" / "main", clips_of(lines), videos=videos_of(films), why="Searched by what is said.")
    with served(folder) as address:
        yield address


FIRST = "document.querySelector('#hits .card')"
VIDEO = "document.querySelector('#video')"


def ask(browser, address, question):
    browser.go(address)
    browser.until("document.activeElement.id == 'question'")
    # Played slowly, so that a busy machine still reads the time where playing began.
    browser.run(f"{VIDEO}.defaultPlaybackRate = 0.1")
    browser.type("#question", question + ENTER)
    browser.until(FIRST)


def at(browser, seconds):
    """Whether the player comes to play within half a second of `seconds`."""
    near = f"Math.abs({VIDEO}.currentTime - {seconds}) < 0.5"
    return browser.until(f"{VIDEO}.readyState >= 2 && !{VIDEO}.seeking && !{VIDEO}.paused && {near}")


def test_a_question_a_click_and_the_right_second(browser, address):
    ask(browser, address, "cracking an egg")
    assert browser.run("location.search") == "?q=cracking+an+egg"
    browser.click("#hits .card")
    assert at(browser, 7.5)
    assert browser.run(f"{VIDEO}.videoWidth") == 160
    assert browser.run("document.querySelector('#playing-title').textContent") == "About kitchen/50% eggs #1"
    assert browser.run(f"{FIRST}.getAttribute('aria-current')") == "true"
    browser.until(f"{FIRST}.querySelector('img').naturalWidth > 0")
    assert [line["message"] for line in browser.log() if line["level"] == "SEVERE"] == []


def test_what_is_said_is_shown_as_text(browser, address):
    ask(browser, address, "eggs")
    shown = browser.run(f"{FIRST}.querySelector('.text').textContent")
    assert shown.startswith("Crack two eggs & <script>window.bad = 1</script><img src=x")
    assert browser.run("document.querySelectorAll('#hits script, #hits .text img').length") == 0
    assert browser.run("typeof window.bad") == "undefined"
    assert browser.run(f"[...{FIRST}.querySelectorAll('mark')].map(mark => mark.textContent)") == ["eggs"]


def test_another_moment_of_the_same_video(browser, address):
    ask(browser, address, "crack eggs wash hands")
    assert browser.run("document.querySelectorAll('.card').length") == 2
    texts = browser.run("[...document.querySelectorAll('.text')].map(text => text.textContent)")
    for place, text in enumerate(texts, 1):
        browser.click(f"li:nth-child({place}) .card")
        assert at(browser, 1.0 if text.startswith("wash") else 7.5)


def test_the_keyboard_is_enough(browser, address):
    ask(browser, address, "sand")
    browser.key(DOWN)
    assert browser.run(f"document.activeElement == {FIRST}")
    browser.key(ENTER)
    assert at(browser, 2.0)
    browser.key(ESCAPE)
    assert browser.run("document.querySelector('#player').hidden")
    browser.key("/")
    assert browser.run("document.activeElement.id") == "question"


def test_the_address_keeps_the_question(browser, address):
    ask(browser, address, "sand")
    browser.type("#question", " eggs" + ENTER)
    browser.until("document.querySelectorAll('.card').length == 2")
    browser.back()
    browser.until("document.querySelectorAll('.card').length == 1")
    assert browser.run("document.querySelector('#question').value") == "sand"
    browser.go(f"{address}/?q=wash")
    assert "wash your hands" in browser.until(f"{FIRST} && {FIRST}.textContent")


def test_nothing_and_errors_are_said(browser, address):
    browser.go(f"{address}/?q=zebra")
    browser.until("document.querySelector('#status').textContent.startsWith('Nothing found')")
    browser.go(f"{address}/?q={'e' * 1001}")
    browser.until("document.querySelector('#status.bad')?.textContent.includes('at most 1000 characters')")
    browser.go(address)
    browser.until("document.querySelector('#status').textContent.startsWith('3 videos, 4 moments')")
    assert browser.run("document.querySelector('#why').textContent") == "Searched by what is said."
    browser.click("#examples button")
    browser.until(FIRST)
    assert browser.run("document.querySelector('#status').textContent").endswith("best first, by what is said.")


def test_the_figures_behind_the_choice(browser, address, tmp_path):
    figures = {"R@1": 0.1, "R@5": 0.2, "R@10": 0.5, "MedR": 7.0}
    systems = {"speech": figures, "learned": figures | {"R@10": 0.0421}, "chance": figures | {"R@10": 0.001}}
    comparison = {"questions": 60, "videos": 10, "model": None, "systems": systems}
    film(tmp_path / "v.mp4")
    clips, videos = clips_of([("v", 0.0, 5.0, "x")]), videos_of({"v": tmp_path / "v.mp4"})
    built(tmp_path / "index" / "main", clips, videos=videos, comparison=comparison)
    with served(tmp_path) as other:
        browser.go(other)
        browser.until("!document.querySelector('#figures').hidden")
        rows = browser.run("[...document.querySelectorAll('#figures tbody tr')].map(row => row.textContent)")
        assert rows == ["speech10 %20 %50 %7", "learned10 %20 %4.2 %7", "chance10 %20 %0.1 %7"]
        assert browser.run("document.querySelector('tr.chosen td').textContent") == "speech"


def test_a_video_that_cannot_be_played_is_offered_as_a_file(browser, address):
    ask(browser, address, "varnish")
    browser.click("#hits .card")
    browser.until("!document.querySelector('#unplayable').hidden")
    assert "go to 0:04" in browser.run("document.querySelector('#unplayable').textContent")
    assert browser.run("document.querySelector('#unplayable a').getAttribute('href')") == "/media/broken"
