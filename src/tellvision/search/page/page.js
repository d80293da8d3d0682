// The page: a question in, hits as cards, a click plays the video from that second.
// The question stands in the address (?q=), so that a page can be kept, sent and gone back to.
// Whatever videos say is put in as text, never as markup.

const HITS = 12;
const MOST = 100;
const $ = (id) => document.getElementById(id);
const [form, box, status, hits, more] = ["ask", "question", "status", "hits", "more"].map($);
const [player, video, examples] = ["player", "video", "examples"].map($);
const WAYS = { speech: "what is said", picture: "what is seen", fused: "what is seen and what is said" };

let asking = new AbortController(); // the question under way; a newer one ends it
let shown = { question: "", limit: HITS };
let corpus = ""; // what is indexed, in words

function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return (hours ? `${hours}:${pad(minutes)}` : minutes) + `:${pad(whole % 60)}`;
}

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function say(text, bad = false) {
  status.textContent = text;
  status.classList.toggle("bad", bad);
  $("because").hidden = true;
}

function marked(text, spoken) {
  const words = new Set(spoken);
  return text
    .split(/([\p{L}\p{N}_]+)/u)
    .map((part) => (words.has(part) ? element("mark", "", part) : part));
}

async function fetched(address, signal) {
  const response = await fetch(address, { signal });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

// Hits

function card(hit) {
  const picture = element("img");
  picture.alt = "";
  picture.loading = "lazy";
  picture.src = hit.thumbnail_url;
  picture.addEventListener("error", () => picture.remove());
  const button = element(
    "button",
    "card",
    element("span", "shot", picture, element("time", "", clock(hit.start))),
    element(
      "span",
      "told",
      element("span", "title", hit.title),
      element("span", "span", `${clock(hit.start)} – ${clock(hit.end)}`),
      element("span", "text", ...marked(hit.text, hit.spoken)),
    ),
  );
  button.type = "button";
  button.title = `score ${hit.score.toPrecision(3)}`;
  button.addEventListener("click", () => play(hit, button));
  return element("li", "", button);
}

async function ask(question, limit = HITS) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  shown = { question, limit };
  document.title = question ? `${question} – tellvision` : "tellvision";
  examples.hidden = Boolean(question) || !examples.children.length;
  if (!question) {
    hits.replaceChildren();
    more.hidden = true;
    say(corpus);
    return;
  }
  say("Searching …");
  hits.classList.add("waiting");
  try {
    const parameters = new URLSearchParams({ query_text: question, page_limit: limit });
    const answer = await fetched(`/api/search?${parameters}`, signal);
    const known = limit > HITS ? hits.children.length : 0; // more: those already there stay
    if (!known) hits.replaceChildren();
    hits.append(...answer.data.slice(known).map(card));
    more.hidden = answer.data.length < limit || limit >= MOST;
    if (answer.data.length) say(`${count(answer.data.length, "moment")}, best first, by ${WAYS[answer.search_by]}.`);
    else say("Nothing found: none of these words is said in the videos. Try other words.");
    $("because").hidden = !answer.data.length;
  } catch (error) {
    if (signal.aborted) return;
    hits.replaceChildren();
    more.hidden = true;
    const lost = error instanceof TypeError; // what fetch throws where nobody answers
    say(lost ? "The server does not answer: is `tellvision serve` still running?" : error.message, true);
  } finally {
    if (!signal.aborted) hits.classList.remove("waiting");
  }
}

// The player

function play(hit, button) {
  for (const other of hits.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  $("playing-title").textContent = hit.title;
  $("playing-time").textContent = `from ${clock(hit.start)}`;
  $("unplayable").hidden = true;
  video.hidden = player.hidden = false;
  const begin = () => {
    video.currentTime = hit.start;
    video.play().catch(() => {}); // a browser may want a click on the video itself
  };
  video.onloadedmetadata = begin;
  if (video.getAttribute("src") !== hit.video_url) video.src = hit.video_url;
  else if (video.readyState >= HTMLMediaElement.HAVE_METADATA) begin();
  video.onerror = () => {
    const link = element("a", "", "open the file itself");
    link.href = hit.video_url;
    link.download = "";
    $("unplayable").replaceChildren("This browser cannot play this video; ", link, ` and go to ${clock(hit.start)}.`);
    $("unplayable").hidden = false;
    video.hidden = true;
  };
}

function close() {
  video.pause();
  video.onerror = null;
  video.removeAttribute("src");
  video.load();
  player.hidden = true;
  const current = hits.querySelector("[aria-current]");
  current?.removeAttribute("aria-current");
  (current ?? box).focus();
}

// What is indexed, and why it is searched the way it is

function percent(share) {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

async function about() {
  const index = await fetched("/api/index");
  const length = index.hours >= 1 ? count(Math.round(index.hours), "hour") : count(Math.round(60 * index.hours), "minute");
  corpus = `${count(index.videos, "video")}, ${count(index.clips, "moment")}, ${length}. Ask what is done in them.`;
  if (!shown.question) say(corpus);
  examples.append(...index.examples.map(example));
  examples.hidden = Boolean(shown.question) || !index.examples.length;
  $("why").textContent = index.why;
  const { systems = {}, questions, videos, model } = index.comparison;
  const chosen = { speech: "speech", picture: model, fused: `${model} + speech` }[index.search_by];
  const rows = Object.entries(systems).sort(([, a], [, b]) => b["R@10"] - a["R@10"]);
  for (const [name, figures] of rows) {
    const cells = [name, ...["R@1", "R@5", "R@10"].map((key) => percent(figures[key])), String(Math.round(10 * figures.MedR) / 10)];
    const row = element("tr", name === chosen ? "chosen" : "", ...cells.map((cell) => element("td", "", cell)));
    $("figures").querySelector("tbody").append(row);
  }
  $("how").textContent = `${count(questions ?? 0, "line")} of narration from ${count(videos ?? 0, "video")} kept out of training were taken out of what is said and asked for; R@k is the share whose moment is among the first k.`;
  $("figures").hidden = !rows.length;
}

function example(text) {
  const button = element("button", "", text);
  button.type = "button";
  button.addEventListener("click", () => {
    box.value = text;
    submit();
  });
  return button;
}

// Keys, address, start

function submit() {
  const question = box.value.trim();
  if (!question) return;
  if (question !== shown.question) history.pushState(null, "", `?${new URLSearchParams({ q: question })}`);
  ask(question);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
more.addEventListener("click", () => ask(shown.question, Math.min(MOST, shown.limit + HITS)));
$("close").addEventListener("click", close);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && document.activeElement !== box) {
    event.preventDefault();
    box.select();
    box.focus();
  } else if (event.key === "Escape" && !player.hidden) {
    close();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const stops = [box, ...hits.querySelectorAll(".card")];
    const here = stops.indexOf(document.activeElement);
    const next = stops[here + (event.key === "ArrowDown" ? 1 : -1)];
    if (here < 0 || !next) return;
    event.preventDefault();
    next.focus();
  }
});

function fromAddress() {
  box.value = new URLSearchParams(location.search).get("q") ?? "";
  ask(box.value.trim());
}
window.addEventListener("popstate", fromAddress);
about().catch(() => {}); // a question asked tells what is wrong
fromAddress();
if (box.value) box.blur();
