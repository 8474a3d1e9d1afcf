// Steps through the records of a run. Plain JavaScript without dependencies: the same `mount` serves the page in an
// <iframe srcdoc> (source: `fixed`) and the widget of a live kernel (source: `asking`).
//
// Recorded text comes in only as markup that Python has escaped, or goes in as textContent.
"use strict";

const icon = (path) =>
  `<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="${path}" fill="currentColor"/></svg>`;

const ICONS = {
  first: icon("M3 3h2v10H3zM13 3v10L6 8z"),
  previous: icon("M11 3v10L4 8z"),
  next: icon("M5 3v10l7-5z"),
  last: icon("M11 3h2v10h-2zM3 3v10l7-5z"),
  failure: icon("M8 1l7 13H1zM7.2 6v4h1.6V6zm0 5v1.6h1.6V11z"),
  before: icon("M7 3v10L1 8zM10 8a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0z"),
  after: icon("M9 3v10l6-5zM1 8a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0z"),
  reread: icon("M8 2a6 6 0 1 0 6 6h-2a4 4 0 1 1-4-4v3l5-4-5-4z"),
};

function mount(root, source) {
  const make = (tag, name, parent) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    parent.append(made);
    return made;
  };
  const button = (name, label, parent, act) => {
    const made = make("button", "st-" + name, parent);
    made.type = "button";
    made.innerHTML = ICONS[name];
    made.title = label;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  };

  root.classList.add("st-root");
  root.tabIndex = 0;
  const strip = make("div", "st-strip", make("div", "st-scroll", root));
  strip.innerHTML = source.timeline;
  const cursor = source.timeline ? make("div", "st-cursor", strip) : null;
  if (cursor) cursor.style.bottom = source.below * 100 + "%";

  const bar = make("div", "st-bar", root);
  button("first", "first record (Home)", bar, () => go(source.first));
  button("previous", "previous record (←)", bar, () => go(at - 1));
  const slider = make("input", "st-slider", bar);
  slider.type = "range";
  slider.step = 1;
  slider.setAttribute("aria-label", "record");
  button("next", "next record (→)", bar, () => go(at + 1));
  button("last", "last record (End)", bar, () => go(source.last));

  const jumps = make("div", "st-bar st-jumps", root);
  const failure = button("failure", "to the next failure", jumps, () => jump(source.failures, 1, true));
  make("span", "st-word", failure).textContent = "failure";
  const chooser = make("select", "st-variable", jumps);
  chooser.setAttribute("aria-label", "variable");
  const earlier = button("before", "to where the variable changed before", jumps, () => seek(-1));
  const later = button("after", "to where the variable changes next", jumps, () => seek(1));
  if (source.reread) button("reread", "read on: the records that are new", jumps, () => source.reread());
  const told = make("span", "st-told dim", jumps);
  told.setAttribute("role", "status");
  const note = make("div", "dim st-note", root);
  const head = make("div", "st-head", root);
  const cards = make("div", "cards", root);
  const rest = make("div", "st-rest", root);

  let at = source.start;
  let shown = {};

  function go(index) {
    at = Math.min(Math.max(index, source.first), source.last);
    told.textContent = "";
    place();
    source.ask(at, show);
  }

  function jump(places, direction, around) {
    const onward = direction > 0 ? places.find((p) => p > at) : places.findLast((p) => p < at);
    const found = onward ?? (around ? places[0] : undefined);
    if (found === undefined) told.textContent = direction > 0 ? "no later change" : "no earlier change";
    else go(found);
    return found;
  }

  function seek(direction) {
    const name = chooser.value;
    if (!name) return;
    if (source.seek) source.seek(name, direction);
    else if (jump(source.variables[name] ?? [], direction, false) !== undefined) told.textContent = name + " changed";
  }

  // The slider and the cursor follow at once, the cards as soon as they are there.
  function place() {
    slider.min = source.first;
    slider.max = source.last;
    slider.value = at;
    slider.setAttribute("aria-valuetext", "record " + at);
    const x = source.x(at);
    if (cursor && x !== undefined) cursor.style.left = (x / source.width) * 100 + "%";
    failure.disabled = source.failures.length === 0;
    note.textContent = source.note;
  }

  function show(step) {
    if (step.index !== at) return; // the reader has moved on
    put(head, "head", step.head);
    if (shown.columns !== step.columns.join()) {
      const parts = step.columns.map((html) => {
        const column = document.createElement("div");
        column.innerHTML = html;
        return column;
      });
      cards.replaceChildren(...parts);
      shown.columns = step.columns.join();
    }
    put(rest, "rest", step.rest);
    root.dataset.record = step.index;
    choices();
  }

  function put(part, name, html) {
    if (shown[name] === html) return;
    const open = part.querySelector("details")?.open;
    part.innerHTML = html;
    shown[name] = html;
    const details = part.querySelector("details");
    if (open && details) details.open = true;
  }

  function choices() {
    const names = source.names();
    if (chooser.dataset.names === JSON.stringify(names)) return;
    const chosen = chooser.value;
    chooser.replaceChildren();
    for (const name of ["", ...names]) {
      const option = make("option", "", chooser);
      option.value = name;
      option.textContent = name || "variable …";
    }
    chooser.dataset.names = JSON.stringify(names);
    chooser.value = names.includes(chosen) ? chosen : "";
    ready();
  }

  function ready() {
    earlier.disabled = later.disabled = !chooser.value;
  }

  function press(event) {
    if (event.target === chooser || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: source.first, End: source.last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    go(to);
  }

  chooser.addEventListener("change", ready);
  slider.addEventListener("input", () => go(Number(slider.value)));
  (source.alone ? document : root).addEventListener("keydown", press);
  strip.addEventListener("click", (event) => {
    const box = strip.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * source.width;
    let nearest = at;
    for (let index = source.first; index <= source.last; index++)
      if (Math.abs(source.x(index) - x) < Math.abs(source.x(nearest) - x)) nearest = index;
    go(nearest);
  });
  choices();
  ready();
  go(at);
  return {
    go,
    place,
    tell: (text) => { told.textContent = text; },
  };
}

// All records are in the page.
function fixed(data) {
  const text = (numbers) => numbers.map((number) => data.texts[number]).join("");
  return {
    ...data,
    alone: true,
    x: (index) => data.steps[index - data.first].x,
    names: () => Object.keys(data.variables),
    ask(index, show) {
      const step = data.steps[index - data.first];
      show({ index, head: text(step.head), columns: step.columns.map(text), rest: text(step.rest) });
    },
  };
}

// The kernel is asked for each record.
function asking(model) {
  const shape = () => model.get("shape");
  let last = null;
  const source = {
    get first() { return 0; },
    get last() { return shape().last; },
    get failures() { return shape().failures; },
    get note() { return shape().note; },
    start: model.get("step"),
    width: shape().width,
    below: shape().below,
    timeline: shape().timeline,
    x: (index) => shape().xs[index],
    names: () => model.get("card").names ?? [],
    ask(index, show) {
      last = show;
      if (model.get("card").index === index) return show(model.get("card"));
      model.set("step", index);
      model.save_changes();
    },
    seek: (name, direction) => model.send({ seek: name, direction }),
    reread: () => model.send({ reread: true }),
  };
  model.on("change:card", () => last?.(model.get("card")));
  return source;
}

function widget({ model, el }) {
  el.innerHTML = model.get("style");
  const root = document.createElement("div");
  root.className = "interp";
  el.append(root);
  const source = asking(model);
  const stepper = mount(root, source);
  model.on("change:step", () => {
    if (Number(root.dataset.record) !== model.get("step")) stepper.go(model.get("step"));
  });
  model.on("change:shape", stepper.place);
  model.on("msg:custom", (message) => stepper.tell(message.told ?? ""));
}
