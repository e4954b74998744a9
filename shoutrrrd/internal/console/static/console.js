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
  const zone = new Intl.DateTimeFormat("en", {timeZoneName: "short"}).formatToParts(at).find((part) => part.type === "timeZoneName");
  return at.getFullYear() + "-" + pad(at.getMonth() + 1) + "-" + pad(at.getDate()) + " " + time + (zone ? " " + zone.value : "");
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

// content is what a part of the page says, without the times: those go on by themselves, see tick.
function content(part) {
  const copy = part.cloneNode(true);
  for (const element of copy.querySelectorAll("time")) element.textContent = "";
  return copy.innerHTML;
}

let shown = content(live); // what the live part shows
let waiting = null; // the latest update that is not shown yet, as the reader has something in hand
let pressed = false; // a mouse button or finger is down in the live part

let head = {title: document.title, alarm: icon.getAttribute("href").includes("alarm")}; // as the relay said last

function crown(title, alarm) {
  document.title = title;
  const name = alarm ? "/static/icon-alarm.svg" : "/static/icon.svg";
  if (icon.getAttribute("href") !== name) icon.setAttribute("href", name);
}

function show(update) {
  head = update;
  crown(update.title, update.alarm);
  bar.innerHTML = update.bar;
  const why = held();
  following.hidden = why === "";
  following.textContent = why && "Live updates paused while " + why + ".";
  if (why || pressed) {
    waiting = update;
    return;
  }
  waiting = null;
  // New nodes lose the focus, a tap that has begun and the place of a scrolled table, so they replace only what has changed.
  const next = live.cloneNode(false);
  next.innerHTML = update.live;
  const says = content(next);
  if (says === shown) return;
  shown = says;
  const row = selected();
  live.replaceChildren(...next.childNodes);
  select(row);
  localise();
  tick();
}

// catchUp shows what came while the reader had something in hand.
function catchUp() {
  if (waiting && !pressed && !held()) show(waiting);
}

// Whatever the page says is old once the relay is silent: that comes before all else, in the banner, the title and the icon.
const gone = document.getElementById("gone");
const silence = 4000; // ms; the stream beats every 2 s
let heard = Date.now();
let patience = silence;

function hear(wait) {
  heard = Date.now();
  patience = wait || silence;
  if (gone.hidden) return;
  gone.hidden = true;
  crown(head.title, head.alarm);
}

function listen() {
  if (Date.now() - heard < patience) return;
  gone.hidden = false;
  put(gone, "THE RELAY DOES NOT ANSWER. What stands below is how it was " + words(Math.round((Date.now() - heard) / 1000)).replace(".0 s", " s") + " ago.");
  crown("RELAY DOES NOT ANSWER · shoutrrrd", true);
}

function follow(path) {
  const source = new EventSource(path);
  source.onmessage = (event) => { hear(); show(JSON.parse(event.data)); };
  source.addEventListener("beat", () => hear());
  source.addEventListener("still", (event) => {
    hear(20000); // the stream asks again in 15 s
    following.hidden = false;
    following.textContent = "This page does not refresh live, as " + JSON.parse(event.data) + ". Load it again for a newer state.";
  });
  source.onopen = () => { hear(); following.hidden = true; };
  source.onerror = () => {
    listen();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    fetch("/healthz", {cache: "no-store"}).then(() => {
      hear(Infinity);
      following.hidden = false;
      following.textContent = "Live updates have ended. Load the page again; you may have to sign in.";
    }, () => setTimeout(() => follow(path), 1000));
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

document.addEventListener("toggle", catchUp, true);
document.addEventListener("selectionchange", catchUp);
// A click is a press and a release on the same node: the page keeps the node until the click has been handled, which is before the timer.
document.addEventListener("pointerdown", (event) => { pressed = event.button === 0 && live.contains(event.target); });
for (const end of ["pointerup", "pointercancel", "contextmenu"]) {
  document.addEventListener(end, () => setTimeout(() => { pressed = false; catchUp(); }));
}

document.getElementById("keys").hidden = !document.getElementById("q");
localise();
tick();
setInterval(tick, 1000);
if (document.body.dataset.live) {
  follow(document.body.dataset.live);
  setInterval(listen, 500);
}
