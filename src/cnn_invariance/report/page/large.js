// Figures as large as they need to be: the previous and the next one, and another one side by side. The figures that
// are shown stand in the address.
{
  const dialog = document.getElementById("large"), sheets = dialog.querySelector(".sheets"), form = dialog.querySelector("form");
  const figures = all("figure[id]"), { beside } = form.elements;
  const STEP = 1.25, LEAST = 0.5, MOST = 6, LEGIBLE = 640; // pixels
  let shown = null, scale = 1;

  const nameOf = (figure) => figure.id.replace("figure-", "");
  const named = (name) => figures.find((figure) => nameOf(figure) === name);
  const group = (figure) => figure.closest(".experiment, main > section");

  // A copy of a figure with its whole caption; ids stay with the original.
  const copy = (figure) => {
    const sheet = figure.cloneNode(true);
    sheet.removeAttribute("id");
    sheet.querySelector("svg").removeAttribute("id");
    all(".enlarge, .permalink", sheet).forEach((one) => one.remove());
    return sheet;
  };
  const resize = () => {
    for (const drawn of all(".sheet svg", sheets)) drawn.style.setProperty("width", `${100 * scale}%`);
  };
  // The figure as a file of its own: with the marks and outlines that it refers to, and the font of its texts.
  const fonts = document.querySelector("style").textContent.match(/@font-face \{[^}]*\}/g) ?? [];
  const family = [...document.styleSheets[0].cssRules].find((rule) => rule.selectorText === ".sheet text").cssText;
  const file = (figure) => {
    const drawn = figure.querySelector("svg").cloneNode(true);
    drawn.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const needed = new Set([
      ...all("use", drawn).map((use) => use.getAttribute("href").slice(1)),
      ...all("[marker-mid]", drawn).map((line) => line.getAttribute("marker-mid").slice("url(#".length, -1)),
    ]);
    const [shared, style] = ["defs", "style"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
    shared.append(...all(".definitions defs > *").filter((one) => needed.has(one.id)).map((one) => one.cloneNode(true)));
    style.textContent = [...fonts, family.replace(".sheet text", "text")].join("\n");
    drawn.prepend(style, shared);
    return URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(drawn)], { type: "image/svg+xml" }));
  };

  const draw = () => {
    const other = named(beside.value);
    sheets.replaceChildren(...[shown, other].filter(Boolean).map(copy));
    sheets.classList.toggle("two", Boolean(other));
    resize();
    const place = figures.indexOf(shown);
    form.querySelector(".place").textContent = `${place + 1} of ${figures.length}`;
    form.elements.previous.disabled = place === 0;
    form.elements.next.disabled = place === figures.length - 1;
    const [save, link] = ["save", "link"].map((name) => form.querySelector(`.${name}`));
    URL.revokeObjectURL(save.href);
    save.href = file(shown);
    save.download = `${nameOf(shown)}.svg`;
    address.set({ figure: nameOf(shown), beside: beside.value });
    link.href = location.hash;
    dialog.setAttribute("aria-label", `Figure, enlarged: ${shown.querySelector("svg").getAttribute("aria-label")}`);
  };
  // The figures of the same experiment come first among those that can stand beside.
  const offer = () => {
    const near = figures.filter((one) => one !== shown && group(one) === group(shown));
    const options = [...near, ...figures.filter((one) => one !== shown && !near.includes(one))];
    const kept = beside.value;
    beside.replaceChildren(new Option("nothing", ""), ...options.map((one) => new Option(nameOf(one).replaceAll("_", " "), nameOf(one))));
    beside.value = kept && kept !== nameOf(shown) ? kept : "";
  };
  const open = (figure, other = "") => {
    shown = figure;
    scale = 1;
    beside.value = "";
    offer();
    beside.value = other;
    draw();
    if (!dialog.open) dialog.showModal();
    zoom(Math.max(1, LEGIBLE / sheets.clientWidth));
    sheets.scrollTo(0, 0);
  };
  const step = (by) => {
    const next = figures[figures.indexOf(shown) + by];
    if (!next) return;
    const other = beside.value;
    open(next, other === nameOf(next) ? "" : other);
  };
  const zoom = (by) => {
    scale = Math.min(MOST, Math.max(LEAST, scale * by));
    resize();
  };

  form.addEventListener("click", ({ target }) => {
    if (target.name === "previous") step(-1);
    if (target.name === "next") step(1);
    if (target.name === "larger") zoom(STEP);
    if (target.name === "smaller") zoom(1 / STEP);
  });
  beside.addEventListener("change", draw);
  dialog.addEventListener("close", () => address.set({ figure: null, beside: null }));
  dialog.addEventListener("keydown", (event) => {
    if (event.target === beside || event.altKey || event.ctrlKey || event.metaKey) return;
    const keys = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => zoom(STEP), "-": () => zoom(1 / STEP) };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });

  for (const figure of figures) {
    const button = document.createElement("button"), drawn = figure.querySelector("svg");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge";
    button.setAttribute("aria-label", `Enlarge: ${nameOf(figure).replaceAll("_", " ")}`);
    button.addEventListener("click", () => open(figure));
    drawn.addEventListener("click", () => open(figure));
    figure.querySelector("figcaption").prepend(button);
  }
  address.follow(() => {
    const asked = named(address.values().get("figure"));
    if (asked) open(asked, address.values().get("beside") ?? "");
    else if (dialog.open) dialog.close();
  });
}
