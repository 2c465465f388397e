// Search finds words and their beginnings in claims, experiments, figures, tables and sections, the best first: words
// in titles count more than words in texts, rare words more than frequent ones, whole words more than beginnings.
{
  const form = document.getElementById("find"), box = form.querySelector(".found");
  const list = box.querySelector("ol"), count = box.querySelector(".count");
  const SHOWN = 12, TITLE = 6, BEGINNING = 0.5;
  const wordsOf = (text) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const text = (element, selector) => (selector ? all(selector, element) : [element])
    .map((one) => one.textContent).join(" ").replaceAll("#", " ").replace(/^Enlarge/, "").replace(/\s+/g, " ").trim();
  const counted = (words) => {
    const counts = new Map();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    return counts;
  };

  let entries = null;
  const entry = (kind, id, title, body) => ({
    kind, id, title, body, title_words: counted(wordsOf(title)), body_words: counted(wordsOf(body)),
  });
  const read = () => [
    ...all("main > section").map((one) =>
      entry("section", one.id, text(one, ":scope > h2"), text(one, ":scope > p, :scope > dl, :scope > div > p"))),
    ...all(".claim").map((one) => entry("claim", one.id, text(one, "h3"), text(one, ".findings, .statistic"))),
    ...all(".experiment").map((one) => entry(
      "experiment", one.id || one.querySelector("details").id, text(one, "h3, h4"),
      text(one, ".finding-short, .question, .setting, .claimed-here"))),
    ...all("figure[id]").map((one) => entry(
      "figure", one.id, text(one, "figcaption strong") || one.id.replace("figure-", "").replaceAll("_", " "),
      `${text(one, "figcaption")} ${one.querySelector("svg").getAttribute("aria-label")}`)),
    ...all("details.table").map((one) => entry("table", one.id, text(one, "summary"), text(one, ".note, thead"))),
  ];

  // How often a term is there, beginnings of words included.
  const often = (counts, term) => {
    let sum = 0;
    for (const [word, number] of counts) {
      if (word === term) sum += number;
      else if (word.startsWith(term)) sum += BEGINNING * number;
    }
    return sum;
  };
  const rank = (terms) => {
    const scores = entries.map(() => 0), lacking = new Set();
    for (const term of terms) {
      const hits = entries.map((one) => TITLE * often(one.title_words, term) + often(one.body_words, term));
      const rare = Math.log(1 + entries.length / (1 + hits.filter(Boolean).length));
      hits.forEach((hit, place) => {
        if (!hit) lacking.add(place);
        scores[place] += rare * (hit / (hit + 2));
      });
    }
    return entries.map((one, place) => ({ ...one, score: lacking.has(place) ? 0 : scores[place] }))
      .filter((one) => one.score > 0).sort((a, b) => b.score - a.score);
  };
  const around = (body, terms) => {
    const place = Math.max(0, body.toLowerCase().search(new RegExp(terms.map(RegExp.escape ?? String).join("|"))));
    const start = Math.max(0, body.lastIndexOf(" ", Math.max(0, place - 40)));
    return `${start ? "…" : ""}${body.slice(start, start + 120)}${body.length > start + 120 ? "…" : ""}`;
  };

  const show = () => {
    const terms = wordsOf(form.elements.text.value);
    box.hidden = !terms.length;
    if (!terms.length) return;
    entries ??= read();
    const found = rank(terms);
    count.textContent = found.length ? `${found.length} found, the best first` : "Nothing is found.";
    list.replaceChildren(...found.slice(0, SHOWN).map((one) => {
      const item = document.createElement("li"), link = document.createElement("a"), about = document.createElement("span");
      link.href = `#${one.id}`;
      link.textContent = one.title;
      about.textContent = ` ${one.kind}: ${around(one.body, terms)}`;
      item.append(link, about);
      return item;
    }));
  };
  const close = () => { box.hidden = true; };

  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  list.addEventListener("click", close);
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    form.elements.text.focus();
  });
}
