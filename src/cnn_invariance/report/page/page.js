"use strict";
// Filters, large figures, links into what is closed or filtered away, and print. Without it the page is whole.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
  const holds = (element, terms, parts = [element]) => {
    element.words ??= parts.map((part) => part.textContent).join(" ").toLowerCase().replaceAll("_", " ");
    return terms.every((term) => element.words.includes(term.replaceAll("_", " ")));
  };

  // A form that hides what does not match; `show` hides, and returns how many are left of how many.
  const filter = (form, show) => {
    if (!form) return;
    const section = form.closest("section");
    const apply = () => {
      const [left, total, what] = show(new FormData(form));
      form.querySelector(".count").textContent = `${left} of ${total} ${what}`;
      section.querySelector(".nothing").hidden = left > 0;
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    form.refilter = apply;
    apply();
  };

  filter(document.getElementById("claims-filter"), (chosen) => {
    const terms = words(chosen.get("text")), dataset = chosen.get("dataset"), verdicts = chosen.getAll("verdict");
    const findings = all(".finding");
    for (const claim of all(".claim")) {
      const found = holds(claim, terms, all("h3, .statistic, .evidence > span", claim));
      for (const finding of all(".finding", claim)) {
        const { verdict, datasets } = finding.dataset;
        const here = !dataset || datasets.split(" ").includes(dataset);
        finding.hidden = !(found && here && verdicts.includes(verdict));
      }
      claim.hidden = all(".finding", claim).every((finding) => finding.hidden);
    }
    return [findings.filter((finding) => !finding.hidden).length, findings.length, "tests shown"];
  });

  filter(document.getElementById("experiments-filter"), (chosen) => {
    const terms = words(chosen.get("text")), rows = all("tr[data-experiment]");
    for (const row of rows) {
      const article = document.getElementById(`experiment-${row.dataset.experiment}`);
      row.hidden = !holds(article, terms);
      if (article.closest("#experiments")) article.hidden = row.hidden;
    }
    for (const group of all("section.group")) {
      group.hidden = all(".experiment", group).every((article) => article.hidden);
    }
    return [rows.filter((row) => !row.hidden).length, rows.length, "experiments shown"];
  });

  // A link leads to its target, even where that is closed or filtered away.
  const reveal = (hash) => {
    const target = document.getElementById(decodeURIComponent(hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) target.closest("main > section").querySelector("form.filter")?.reset();
    for (let place = target; place; place = place.parentElement) {
      if (place.hidden) place.hidden = false;
      if (place.localName === "details") place.open = true;
    }
    setTimeout(() => target.scrollIntoView());
  };
  addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link) reveal(link.hash);
    if (link?.closest(".toc")) link.closest(".toc").open = false;
  });
  addEventListener("hashchange", () => reveal(location.hash));
  if (location.hash) reveal(location.hash);

  // In the contents, the section that is being read.
  const places = new Map(all(".side a").map((link) => [link.hash.slice(1), link]));
  const mark = () => {
    const read = [...places.keys()].filter((id) => {
      const place = document.getElementById(id);
      return place && !place.closest("[hidden]") && place.getBoundingClientRect().top < innerHeight / 3;
    });
    const current = places.get(read.at(-1));
    if (!current || current.hasAttribute("aria-current")) return;
    all(".side a[aria-current]").forEach((link) => link.removeAttribute("aria-current"));
    current.setAttribute("aria-current", "location");
    const side = current.closest(".side"), box = current.getBoundingClientRect();
    if (box.top < 0 || box.bottom > innerHeight) side.scrollTop += box.top - innerHeight / 2;
  };
  let waiting = 0;
  addEventListener("scroll", () => { waiting ||= requestAnimationFrame(() => { waiting = 0; mark(); }); }, { passive: true });
  mark();

  // A figure as large as it needs to be.
  const dialog = document.createElement("dialog");
  dialog.innerHTML = '<form method="dialog"><button>Close</button><a>PNG</a><span></span></form><img alt="">';
  document.body.append(dialog);
  const [link, title, large] = ["a", "span", "img"].map((name) => dialog.querySelector(name));
  const enlarge = (image) => {
    large.src = link.href = image.src;
    link.download = image.dataset.name;
    large.alt = title.textContent = image.alt;
    dialog.setAttribute("aria-label", image.alt);
    dialog.showModal();
    dialog.scrollTo(0, 0);
  };
  for (const image of all("figure img")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge";
    button.setAttribute("aria-label", `Enlarge: ${image.alt}`);
    button.addEventListener("click", () => enlarge(image));
    image.addEventListener("click", () => enlarge(image));
    image.closest("figure").querySelector("figcaption").prepend(button);
  }

  // On paper everything is open, but the lists of cells.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("main details:not([open], .cells, .long)");
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
})();
