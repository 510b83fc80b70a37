// Asks for what is new, and shows it. In a replay all is there at once, and the slider says how much of it is seen.
const MOST_FRAMES = 600, POLL_MS = 1000, PLAY_MS = 100, MOST_EDGES = 3000, CANVAS_FROM = 400, SPLIT = 6, MANY = 40, LEGEND_COLUMN = 150;
const at = (id) => document.getElementById(id);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const views = new Map();
let about, news = { mode: "starting", aims: [], faults: [] }, frames = [], last = 0, known, playing;

const ask = async (path, options) => {
  const answer = await fetch(path, { cache: "no-store", ...options });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
};
const number = (value, digits = 4) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits))));
const seconds = (value) => (value === null || value === undefined ? "–" : value >= 0.1 ? `${number(value)} s` : `${number(value * 1000, 3)} ms`);
const made = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text, ...more });

// What is on the screen: in a replay the frames up to the slider.
const seen = () => (about.mode === "replay" ? frames.slice(0, Number(at("time").value) + 1) : frames);
const thinned = (rows, most) => (rows.length <= most ? rows : rows.filter((_, i) => i % Math.ceil(rows.length / most) === 0));

function datasets() {
  const all = seen(), here = all.at(-1), end = about.plan.duration;
  const lines = (pairs, of) => of.flatMap((frame) => pairs(frame).map(([who, value]) => ({ t: frame.t, who, value })));
  const steps = (key) => news.aims.map((aim, i) => ({ begin: aim[0], end: news.aims[i + 1]?.[0] ?? end, aim: aim[key] })).filter((row) => row.aim !== null);
  const until = here ? here.t : 0;
  const height = Object.fromEntries([...about.dispatchers, ...about.servers]);
  const flow = (d, s) => here?.flows[d]?.[s] ?? 0;
  const edges = about.edges.map(([d, s]) => ({ from: d, to: s, x: 0, x2: 1, y: height[d], y2: height[s], flow: flow(d, s) }));
  if (edges.length > MOST_EDGES) edges.sort((a, b) => b.flow - a.flow).splice(MOST_EDGES);
  return {
    edges,
    nodes: [
      ...about.dispatchers.map(([id, y]) => ({ id, y, x: 0, role: "dispatcher", rate: here?.dispatchers[id]?.[0] ?? null })),
      ...about.servers.map(([id, y]) => ({ id, y, x: 1, role: "server", workload: here?.servers[id]?.[0] ?? null, marginal: here?.servers[id]?.[2] ?? null })),
    ],
    workload: lines((frame) => [["ΣN", frame.workload]], all),
    latency: lines((frame) => [["now", frame.latency], ["so far", frame.so_far]], all),
    rates: lines((frame) => [["offered", frame.offered], ["completed", frame.completed]], all),
    messages: lines((frame) => about.kinds.map((kind) => [kind, frame.messages[kind] ?? 0]), all),
    marginals: lines((frame) => about.servers.map(([id]) => [id, frame.servers[id]?.[2] ?? null]), about.servers.length > about.lines ? thinned(all, about.columns) : all),
    aims: steps(1),
    "latency-aims": steps(2),
    faults: news.faults.filter((fault) => fault.begin <= until).map((fault) => ({ ...fault, end: Math.min(fault.end ?? until, until) })),
  };
}

const named = (spec) => [...new Set((JSON.stringify(spec).match(/"data":\{"name":"[^"]+"\}/g) ?? []).map((text) => JSON.parse(`{${text}}`).data.name))];

// A chart without its lines of optima while there are none.
const inhabited = (spec, data) => (spec.layer ? { ...spec, layer: spec.layer.filter(({ data: own }) => !own.name.endsWith("aims") || data[own.name].length) } : spec);

async function draw() {
  const ground = dark.matches ? "dark" : "light", data = datasets();
  for (const figure of document.querySelectorAll("figure")) {
    const name = figure.dataset.chart, old = views.get(figure);
    figure.hidden = name === "messages" && about.mode === "replay";
    if (figure.hidden) continue;
    const chart = figure.querySelector(".chart");
    if (data[name]?.every((row) => row.value === null)) { // Vega complains of an axis without a number
      old?.view.finalize();
      views.delete(figure);
      chart.replaceChildren("nothing yet");
      continue;
    }
    const spec = inhabited(about.charts[name], data);
    const names = named(spec), columns = Math.max(1, Math.floor((chart.clientWidth - 60) / LEGEND_COLUMN)), version = `${ground} ${columns} ${names}`;
    if (old?.version === version) {
      for (const name of names) old.view.data(name, data[name]);
      await old.view.runAsync();
      continue;
    }
    old?.view.finalize();
    const own = Object.fromEntries(names.map((name) => [name, data[name]]));
    const renderer = name === "graph" && about.edges.length > CANVAS_FROM ? "canvas" : "svg";
    const { view } = await vegaEmbed(chart, { ...spec, datasets: own }, { config: { ...about.configs[ground], legend: { ...about.configs[ground].legend, columns } }, renderer, actions: false });
    views.set(figure, { view, version });
    chart.setAttribute("role", "img"); // one picture with its words, whatever Vega makes of it
    chart.setAttribute("aria-label", chart.dataset.label);
    figure.dataset.drawn = ground;
  }
}

function tell() {
  const all = seen(), here = all.at(-1);
  at("faults").replaceChildren(...(news.faults.length ? news.faults : [null]).map((fault) =>
    fault ? made("li", `${fault.begin.toFixed(1)} s: ${fault.what}, ${fault.end === null ? "now" : `until ${fault.end.toFixed(1)} s`}`, { className: fault.end === null ? "now" : "" }) : made("li", "none so far")));
  if (!here) return;
  const aim = news.aims.filter((each) => each[0] <= here.t).at(-1) ?? [0, null, null];
  const none = about.mode === "live" && !news.aims.length ? "optimum not known yet" : "no optimum";
  const over = aim[2] && here.so_far ? `${number(here.so_far / aim[2])} × the optimum` : "";
  const tiles = [
    ["throughput", `${number(here.completed, 3)} jobs/s`, `${number(here.offered, 3)} offered`],
    ["latency now", seconds(here.latency), aim[2] ? `optimum ${seconds(aim[2])}` : ""],
    ["latency so far", seconds(here.so_far), over],
    ["workload ΣN", number(here.workload), aim[1] === null ? none : `optimum ${number(aim[1])}`],
    ["jobs in flight", String(here.in_flight), `${here.lost} lost`],
    ["lateness", seconds(here.late), here.latency && here.late !== null ? `${number((100 * here.late) / here.latency, 2)} % of the latency` : ""],
  ];
  const sent = Object.values(here.messages).reduce((sum, rate) => sum + rate, 0);
  if (about.mode !== "replay") tiles.push(["messages", `${number(sent, 3)} /s`, here.completed ? `${number(sent / here.completed, 3)} a job` : ""]);
  at("tiles").replaceChildren(...tiles.map(([label, value, note]) => {
    const tile = made("div", ""), body = made("dd", "");
    body.append(made("strong", value), made("span", note));
    tile.append(made("dt", label), body);
    return tile;
  }));
  const fill = (id, rows) => at(id).tBodies[0].replaceChildren(...rows.map((cells) => {
    const row = made("tr", "");
    cells.forEach((cell, i) => row.append(made(i ? "td" : "th", cell, i ? { className: i === 3 && id === "dispatchers" ? "word" : "" } : { scope: "row" })));
    return row;
  }));
  fill("servers", about.servers.map(([id]) => [id, ...(here.servers[id] ?? [null, null, null]).map((value) => number(value))]));
  fill("dispatchers", about.dispatchers.map(([id]) => {
    const [rate, latency] = here.dispatchers[id] ?? [null, null];
    const flows = Object.entries(here.flows[id] ?? {}).sort((a, b) => b[1] - a[1]);
    const total = flows.reduce((sum, each) => sum + each[1], 0);
    const split = flows.slice(0, SPLIT).map(([server, flow]) => `${server} ${Math.round((100 * flow) / total)} %`).join(", ");
    return [id, number(rate), number(latency), split + (flows.length > SPLIT ? `, ${flows.length - SPLIT} more` : "")];
  }));
}

const SAYS = {
  starting: "The run has not begun yet.",
  live: "Live. Closing this page changes nothing.",
  over: "The run has ended. gmsr watch plays it back.",
  replay: "Played back from its journals.",
  gone: "The watcher was closed. The run goes on without it, or has ended.",
};
const say = (mode) => { if (at("status").textContent !== SAYS[mode]) at("status").textContent = SAYS[mode]; };

async function meet() {
  about = await ask("about");
  if (about.mode === "starting") return;
  document.title = `${about.name} – gmsr watch`;
  at("name").textContent = about.name;
  at("plan").textContent = Object.entries(about.plan).map(([name, value]) => `${name} ${typeof value === "number" ? number(value) : value}`).join(", ");
  at("problems").hidden = !about.problems.length;
  at("problems").firstElementChild.replaceChildren(...about.problems.map((line) => made("li", line)));
  at("player").hidden = about.mode !== "replay";
  at("hands").hidden = about.mode !== "live";
  views.forEach(({ view }) => view.finalize());
  views.clear();
  at("figure-marginals").classList.toggle("whole", about.servers.length > about.lines);
  at("figure-graph").classList.toggle("last", about.servers.length + about.dispatchers.length > MANY);
  offer();
}

async function poll() {
  try {
    const fresh = await ask(`news?after=${last}`);
    if (about?.mode === "live" && fresh.mode === "replay") return location.reload();
    const now = `${fresh.agents} agents, ${fresh.aims.length ? "an" : "no"} optimum`; // somebody joins, colours get their end
    if (!about?.plan || now !== known) {
      known = now;
      await meet();
    }
    news = fresh;
    frames.push(...fresh.frames);
    last = frames.at(-1)?.number ?? last;
    if (about.mode !== "replay" && frames.length > MOST_FRAMES) frames = [...frames.slice(0, -MOST_FRAMES / 2).filter((_, i) => i % 2), ...frames.slice(-MOST_FRAMES / 2)];
    at("hands").hidden = fresh.mode !== "live";
    say(fresh.mode);
    if (about.plan && about.mode === "replay") {
      at("time").max = Math.max(frames.length - 1, 0); // before the value, which it bounds
      at("time").value = at("time").max;
      slide();
      return;
    }
    if (about.plan && !document.hidden) {
      tell();
      await draw();
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch's word for a server that is not there
    say("gone");
    at("hands").hidden = true;
  }
  setTimeout(poll, POLL_MS);
}

async function slide() {
  at("clock").textContent = `${frames[Number(at("time").value)]?.t.toFixed(1) ?? "–"} s`;
  at("time").setAttribute("aria-valuetext", at("clock").textContent);
  tell();
  await draw();
}

async function play() {
  const slider = at("time");
  if (playing) return stop();
  playing = true;
  at("play").textContent = "Pause";
  if (slider.value === slider.max) slider.value = 0;
  while (playing && Number(slider.value) < Number(slider.max)) {
    slider.value = Number(slider.value) + 1;
    await slide();
    await new Promise((done) => setTimeout(done, PLAY_MS));
  }
  stop();
}
function stop() {
  playing = false;
  at("play").textContent = "Play";
}

// The form: whom a kind of fault concerns, and what its number means.
const AMOUNTS = { surge: ["Times its rate", "factor", 2], slow: ["Times its rate", "factor", 0.5], delay: ["Seconds one way", "seconds", 0.1], loss: ["Share of frames", "share", 0.1], duplicate: ["Share of frames", "share", 0.1] };
function offer() {
  const { kind, target, amount, policy, lasting } = at("inject").elements;
  const changes = kind.value === "policy";
  const ids = (side) => about[side].map(([id]) => id);
  const whom = { surge: ids("dispatchers"), policy: ids("dispatchers"), slow: ids("servers") }[kind.value] ?? [...ids("servers"), ...ids("dispatchers")];
  target.replaceChildren(...(changes ? [made("option", "all dispatchers", { value: "" })] : []), ...whom.map((id) => made("option", id, { value: id })));
  const [words, , first] = AMOUNTS[kind.value] ?? [];
  at("amount").hidden = !words;
  at("amount").firstElementChild.textContent = words ?? "";
  amount.value = first ?? "";
  at("policy").hidden = !changes;
  policy.required = changes;
  at("policies").replaceChildren(...(about.policies ?? []).map((value) => made("option", "", { value })));
  at("lasting").parentElement.hidden = changes; // until the next change
  at("lasting").textContent = kind.value === "crash" ? "Start again after s (empty: never)" : "For s (empty: to the end)";
  lasting.value = "";
}
async function inject(event) {
  event.preventDefault();
  const { kind, target, amount, policy, lasting } = at("inject").elements;
  const whom = { surge: "dispatcher", policy: "dispatcher", slow: "server" }[kind.value] ?? "agent";
  const order = { kind: kind.value, ...(target.value ? { [whom]: target.value } : {}) };
  if (kind.value === "policy") order.policy = policy.value.trim();
  if (AMOUNTS[kind.value]) order[AMOUNTS[kind.value][1]] = Number(amount.value);
  if (lasting.value) order[kind.value === "crash" ? "restart" : "for"] = Number(lasting.value);
  try {
    const done = await ask("inject", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order) });
    at("done").textContent = `${done.what} at ${done.at.toFixed(1)} s`;
  } catch (error) {
    at("done").textContent = error.message;
  }
}

at("inject").elements.kind.addEventListener("change", offer);
at("inject").addEventListener("submit", inject);
at("time").addEventListener("input", () => { stop(); slide(); });
at("play").addEventListener("click", play);
dark.addEventListener("change", () => about?.plan && draw());
poll();
