// Draws the figures of a page from its data, and gives out its tables. vegaEmbed comes from the script before.
const data = JSON.parse(document.getElementById("data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();
const LEGEND_COLUMN = 150;

// A table as rows for a chart: its columns by their keys, or {t, who, value} where the first is time and each other a line.
function rows(name) {
  const { heads, keys, columns } = data.tables[name];
  if (keys.length) return columns[0].map((_, i) => Object.fromEntries(keys.map((key, k) => [key, columns[k][i]])));
  const [times, ...lines] = columns;
  const names = heads.slice(1).map((head) => head.replace(/ \([^()]*\)$/, ""));
  return lines.flatMap((line, k) => line.map((value, i) => ({ t: times[i], who: names[k], value })));
}

// How many columns a legend has room for.
const columns = (chart) => Math.max(1, Math.floor((chart.clientWidth - 60) / LEGEND_COLUMN));

async function draw(figure) {
  const { spec, tables } = data.figures[figure.id];
  const chart = figure.querySelector(".chart");
  const ground = dark.matches ? "dark" : "light";
  const { legend, ...others } = data.configs[ground];
  const config = { ...others, legend: { ...legend, columns: columns(chart) } };
  const datasets = { ...spec.datasets, ...Object.fromEntries(tables.map((name) => [name, rows(name)])) };
  const old = drawn.get(figure);
  if (old) (await old).finalize();
  drawn.set(figure, vegaEmbed(chart, { ...spec, datasets }, { config, renderer: "svg", actions: false }));
  await drawn.get(figure);
  chart.setAttribute("role", "img");  // one picture with its words; its parts are no reading for anybody
  chart.setAttribute("aria-label", chart.dataset.label);
  figure.dataset.drawn = ground;
  figure.dataset.columns = config.legend.columns;
}

// A chart is drawn when it comes near the window, and all of them before they are printed.
const watch = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (isIntersecting) {
      watch.unobserve(target);
      draw(target);
    }
  }
}, { rootMargin: "600px" });
const figures = document.querySelectorAll("figure");
figures.forEach((figure) => watch.observe(figure));
dark.addEventListener("change", () => drawn.forEach((_, figure) => draw(figure)));
new ResizeObserver(() => drawn.forEach((_, figure) => {
  const chart = figure.querySelector(".chart");
  if (figure.dataset.columns && Number(figure.dataset.columns) !== columns(chart)) {
    figure.dataset.columns = "";  // until it is drawn again
    draw(figure);
  }
})).observe(document.querySelector("main"));
window.addEventListener("beforeprint", () => figures.forEach((figure) => drawn.has(figure) || draw(figure)));

function csv(name) {
  const { heads, columns } = data.tables[name];
  const cell = (value) => (value === null ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const lines = [heads, ...columns[0].map((_, i) => columns.map((column) => column[i]))];
  return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
}

function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

document.addEventListener("click", ({ target }) => {
  if (target.matches("button.csv")) save(`${target.dataset.table}.csv`, csv(target.dataset.table), "text/csv");
  if (target.matches("button.file")) save(target.dataset.file, data.files[target.dataset.file], "application/json");
});

// The numbers of a figure are put into the page when somebody wants to read them.
function tabulate(details) {
  const { heads, columns } = data.tables[details.dataset.table];
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const text of heads) head.append(Object.assign(document.createElement("th"), { textContent: text, scope: "col" }));
  const body = table.createTBody();
  for (let i = 0; i < Math.min(columns[0].length, data.shown); i++) {
    const row = body.insertRow();
    for (const column of columns) {
      const cell = row.insertCell();
      cell.textContent = column[i] ?? "–";
      if (typeof column[i] === "string") cell.className = "word";
    }
  }
  const scroll = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
  scroll.append(table);
  const button = Object.assign(document.createElement("button"), { type: "button", className: "csv" });
  button.textContent = `Download ${details.dataset.table}.csv (${columns[0].length} rows)`;
  button.dataset.table = details.dataset.table;
  details.append(scroll, button);
}
for (const details of document.querySelectorAll("figure details")) {
  details.addEventListener("toggle", () => details.querySelector("table") || tabulate(details));
}
