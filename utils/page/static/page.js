"use strict";
// Asks the server (utils/page/server.py says what it answers) and shows what it found.

const at = id => document.getElementById(id);
const COLOURS = document.body.dataset.colours.split(" ");
const UNLABELLED = "#b0b0b0";
const NEAR = 0.03; // of the map's side: how far from a point a click may fall
const EDGE = 0.02; // of the map's side: its margin

let answer = null; // the last one
let points = []; // of the map: [x, y, place, class]
let newest = 0; // the number of the last question, so that a slower, older answer is dropped

async function ask(address, options, picture) {
  const mine = ++newest;
  let said;
  try {
    const response = await fetch(address, options);
    said = await response.json();
  } catch {
    said = {error: "the server does not answer; is Demo.py --serve still running?"};
  }
  if (mine !== newest) return;
  at("error").hidden = !said.error;
  at("error").textContent = said.error || "";
  if (said.error) return;
  answer = said;
  showAsked(picture || answer.picture);
  showFound();
  drawMap();
}

function showAsked(picture) {
  const image = at("asked-picture");
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.hidden = !picture;
  if (picture) image.src = picture;
  at("asked-title").textContent = answer.title;
}

function shown() {
  return answer.found.slice(0, at("count").value);
}

function showFound() {
  at("counted").textContent = at("count").value;
  if (!answer) return;
  const judged = shown().filter(one => one.right !== null);
  const right = judged.filter(one => one.right).length;
  at("summary").textContent = (judged.length ? `${right} of ${judged.length} right; ` : "") +
    (answer.encoding === null ? "" : `encoded in ${answer.encoding} ms, `) + `searched in ${answer.searching} ms`;
  at("found").replaceChildren(...shown().map(card));
}

function card(one) {
  const button = document.createElement("button");
  const judged = one.right === null ? "" : one.right ? "right" : "wrong";
  button.className = judged;
  button.title = `picture ${one.number} of the gallery${judged && ": " + judged}; search for it`;
  const image = document.createElement("img");
  image.src = one.picture;
  image.alt = one.title;
  image.onerror = () => image.remove(); // a vector without a picture
  const mark = one.right === null ? "" : one.right ? "\u2713 " : "\u2717 ";
  const words = document.createElement("span"); // a long name is cut by the style
  words.textContent = mark + one.title;
  button.append(image, words, one.distance.toFixed(3));
  button.onclick = () => ask(`search?picture=${one.number}`);
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function upload(file) {
  if (file.size > document.body.dataset.mostBytes) {
    newest += 1;
    at("error").hidden = false;
    at("error").textContent = `${file.name} is larger than ${document.body.dataset.mostBytes / 2 ** 20} MiB; ` +
      "give a smaller picture";
    return;
  }
  const form = new FormData();
  form.append("picture", file);
  ask("search", {method: "POST", body: form}, URL.createObjectURL(file));
}

function drawMap() {
  const canvas = at("map"), pen = canvas.getContext("2d"), side = canvas.width;
  const place = ([x, y]) => [x, y].map(share => side * (EDGE + share * (1 - 2 * EDGE)));
  pen.clearRect(0, 0, side, side);
  for (const point of points) {
    pen.fillStyle = point[3] < 0 ? UNLABELLED : COLOURS[point[3]];
    pen.beginPath();
    pen.arc(...place(point), 2.5, 0, 2 * Math.PI);
    pen.fill();
  }
  if (!answer) return;
  const found = new Set(shown().map(one => one.number));
  pen.lineWidth = 2;
  pen.strokeStyle = "#000";
  for (const point of points.filter(each => found.has(each[2]))) {
    pen.beginPath();
    pen.arc(...place(point), 7, 0, 2 * Math.PI);
    pen.stroke();
  }
}

function nearest(event) {
  const box = at("map").getBoundingClientRect();
  const share = pixels => (pixels - EDGE) / (1 - 2 * EDGE);
  const x = share((event.clientX - box.left) / box.width), y = share((event.clientY - box.top) / box.height);
  let best = null, least = NEAR ** 2;
  for (const point of points) {
    const far = (point[0] - x) ** 2 + (point[1] - y) ** 2;
    if (far < least) [best, least] = [point, far];
  }
  return best;
}

if (at("by-query")) {
  at("by-query").onsubmit = event => {
    event.preventDefault();
    ask(`search?query=${at("query").value}`);
  };
  at("any").onclick = () => {
    at("query").value = Math.floor(Math.random() * document.body.dataset.queries);
    ask(`search?query=${at("query").value}`);
  };
}
if (at("by-word")) {
  at("by-word").onsubmit = event => {
    event.preventDefault();
    ask(`search?word=${encodeURIComponent(at("word").value)}`);
  };
}
if (at("drop")) {
  at("file").onchange = event => {
    if (event.target.files.length) upload(event.target.files[0]);
    event.target.value = ""; // the same file can be chosen again
  };
  at("drop").ondragover = event => {
    event.preventDefault();
    at("drop").classList.add("over");
  };
  at("drop").ondragleave = () => at("drop").classList.remove("over");
  at("drop").ondrop = event => {
    event.preventDefault();
    at("drop").classList.remove("over");
    if (event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
  };
}
at("asked-picture").onerror = event => {
  event.target.hidden = true;
};
at("count").oninput = () => {
  showFound();
  drawMap();
};
at("map").onclick = event => {
  const point = nearest(event);
  if (point) ask(`search?picture=${point[2]}`);
};

fetch("map").then(response => response.json()).then(given => {
  points = given;
  drawMap();
});
ask(at("by-query") ? "search?query=0" : "search?picture=0");
