// Keeps the page in step with the relay, puts times into the reader's zone, and
// takes a few keys. Without it the page reads the same; it only stands still.
"use strict";

const live = document.getElementById("live");
const bar = document.getElementById("bar");
const icon = document.getElementById("icon");
const following = document.getElementById("following");

const pad = (n) => String(n).padStart(2, "0");

function words(seconds) {
  const s = Math.max(0, seconds);
  if (s < 0.05) return "0 s";
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  const pair = (n, unit, rest, small) => n + " " + unit + (rest >= 1 ? " " + Math.floor(rest) + " " + small : "");
  if (s < 48 * 3600) return pair(Math.floor(s / 3600), "h", (s % 3600) / 60, "min");
  return pair(Math.floor(s / 86400), "d", (s % 86400) / 3600, "h");
}

function clock(at) {
  const time = pad(at.getHours()) + ":" + pad(at.getMinutes()) + ":" + pad(at.getSeconds());
  if (at.toDateString() === new Date().toDateString()) return time;
  return at.getFullYear() + "-" + pad(at.getMonth() + 1) + "-" + pad(at.getDate()) + " " + time;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function localise() {
  for (const element of document.querySelectorAll("time[data-at]")) put(element, clock(new Date(element.dateTime)));
}

// Ages and what is awaited go on by the second; tenths of one would flicker.
function tick() {
  const now = Date.now();
  const full = (s) => words(s < 10 ? Math.floor(s) : s).replace(".0 s", " s");
  for (const element of document.querySelectorAll("time[data-age]")) put(element, full((now - new Date(element.dateTime)) / 1000));
  for (const element of document.querySelectorAll("time[data-until]")) put(element, full((new Date(element.dateTime) - now) / 1000));
}

// What the reader has in hand stays: text that is selected, a form that is open.
function held() {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && live.contains(selection.anchorNode)) return "text is selected";
  if (live.querySelector("details[open]")) return "a form is open";
  return "";
}

let waiting = null;

function show(update) {
  document.title = update.title;
  const name = update.alarm ? "/static/icon-alarm.svg" : "/static/icon.svg";
  if (icon.getAttribute("href") !== name) icon.setAttribute("href", name);
  bar.innerHTML = update.bar;
  const why = held();
  following.hidden = why === "";
  following.textContent = why && "Standing still, as " + why + ".";
  if (why) {
    waiting = update;
    return;
  }
  waiting = null;
  const row = selected();
  live.innerHTML = update.live;
  select(row);
  localise();
  tick();
}

function follow(path) {
  const source = new EventSource(path);
  source.onmessage = (event) => show(JSON.parse(event.data));
  let since = 0;
  source.onopen = () => { since = 0; following.hidden = true; };
  source.onerror = () => {
    since = since || Date.now();
    if (Date.now() - since < 2000) return; // the stream begins anew now and then
    following.hidden = false;
    following.textContent = "The relay does not answer; this is how it was " + words((Date.now() - since) / 1000) + " ago.";
  };
}

let chosen = -1;
const rows = () => Array.from(document.querySelectorAll("table.rows tbody tr"));
const selected = () => chosen;

function select(to) {
  const all = rows();
  chosen = all.length ? Math.max(-1, Math.min(to, all.length - 1)) : -1;
  all.forEach((row, i) => row.classList.toggle("chosen", i === chosen));
  return all[chosen];
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "/") {
    const filter = document.getElementById("q");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.select();
  } else if (event.key === "j" || event.key === "k") {
    const row = select(chosen + (event.key === "j" ? 1 : -1));
    if (row) row.scrollIntoView({block: "nearest"});
  } else if (event.key === "Enter" && chosen >= 0 && event.target === document.body) {
    const link = rows()[chosen].querySelector("td.text a");
    if (link) link.click();
  }
});

document.addEventListener("toggle", () => { if (waiting && !held()) show(waiting); }, true);
document.addEventListener("selectionchange", () => { if (waiting && !held()) show(waiting); });

document.getElementById("keys").hidden = !document.getElementById("q");
localise();
tick();
setInterval(tick, 1000);
if (document.body.dataset.live) follow(document.body.dataset.live);
