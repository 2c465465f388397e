// The profiles of all measured cells: one chart whose lines are chosen, each value of which leads to the cell it is
// from. The data stand in the page as JSON, packed to a quarter of its size, see report/profiles.py; until they are
// unpacked, and in a browser that cannot, the page shows what it shows without a script.
unpacked(document.getElementById("profiles-data").textContent, "deflate").then((found) => found.json()).then((data) => {
  const form = document.getElementById("explorer"), explored = document.querySelector(".explored");
  const chart = explored.querySelector(".chart"), pointed = explored.querySelector(".pointed");
  const [lines, shownCell] = [".lines", ".cell-shown"].map((name) => explored.querySelector(name));
  const NAMES = Object.keys(data.choices), CHOSEN = NAMES.filter((name) => name !== "seed");
  const KEPT = 6, QUOTIENTS = /^(NV|NVSE|ND|NDSE)\b/;
  const SVG = "http://www.w3.org/2000/svg";
  const text = (cell, name) => data.choices[name][data.of[name][cell]];
  const cells = data.cells.map((_, place) => place);
  const holds = (cell, measure) => measure in data.cells[cell].values;

  const make = (name, attributes = {}, ...inside) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
  const html = (name, content, ...classes) => {
    const element = document.createElement(name);
    element.textContent = content;
    element.classList.add(...classes);
    return element;
  };
  const number = (value) => (value === null ? "none" : Number(value.toPrecision(4)).toString());

  // What is chosen: a line is all cells that agree in everything but the seed.
  const selects = new Map();
  const choice = { measure: 0, seeds: null };
  let kept = [], points = [], focus = null;

  const matching = (names) => cells.filter((cell) => names.every((name) => data.of[name][cell] === choice[name]));
  const options = (place) => {
    const left = matching(CHOSEN.slice(0, place));
    return [...new Set(left.map((cell) => data.of[CHOSEN[place]][cell]))];
  };
  const measures = () => {
    const left = matching(CHOSEN);
    return data.measures.map((_, place) => place).filter((place) => left.some((cell) => holds(cell, place)));
  };
  const settle = () => {
    CHOSEN.forEach((name, place) => {
      const open = options(place);
      if (!open.includes(choice[name])) [choice[name]] = open;
    });
    const open = measures();
    if (!open.includes(choice.measure)) [choice.measure] = open;
  };
  const lineOf = () => ({
    cells: matching(CHOSEN).filter((cell) => holds(cell, choice.measure)),
    measure: choice.measure,
    words: CHOSEN.map((name) => data.choices[name][choice[name]]),
  });
  const same = (one, other) => one.measure === other.measure && one.words.join() === other.words.join();
  const labelOf = (line) => {
    const words = Object.fromEntries(CHOSEN.map((name, place) => [name, line.words[place]]));
    const on = words["trained on"] === words["measured on"] ? "" : ` measured on ${words["measured on"]}`;
    const epoch = words.epoch === "last" ? "" : `, epoch ${words.epoch}`;
    return `${data.measures[line.measure].label}: ${words.network}, ${words["trained on"]}, trained with ` +
      `${words["trained with"]}${on}, under ${words.under}${epoch}, ${words.samples} samples`;
  };

  // The controls follow from what there is.
  const select = (name, values, chosen, labels, onchange) => {
    const label = html("label", `${name} `), box = document.createElement("select");
    box.replaceChildren(...values.map((value) => new Option(labels[value], value)));
    box.value = chosen;
    box.name = name;
    box.addEventListener("change", () => onchange(Number(box.value)));
    label.append(box);
    label.classList.toggle("only", values.length < 2);
    return label;
  };
  const offer = () => {
    for (const label of all("label.chosen", form)) label.remove();
    const made = CHOSEN.map((name, place) =>
      select(name, options(place), choice[name], data.choices[name], (value) => { choice[name] = value; choice.seeds = null; update(); }));
    const labels = data.measures.map((one) => one.label);
    made.push(select("measure", measures(), choice.measure, labels, (value) => { choice.measure = value; update(); }));
    made.forEach((label) => label.classList.add("chosen"));
    form.prepend(...made);
    const seeds = [...new Set(lineOf().cells.map((cell) => text(cell, "seed")))];
    form.querySelector(".seeds").replaceChildren(html("legend", "Seeds"), ...seeds.map((seed) => {
      const label = html("label", "", "choice"), box = document.createElement("input");
      Object.assign(box, { type: "checkbox", value: seed, checked: !choice.seeds || choice.seeds.includes(seed) });
      box.addEventListener("change", () => {
        const boxes = all(".seeds input", form);
        choice.seeds = boxes.every((one) => one.checked) ? null : boxes.filter((one) => one.checked).map((one) => one.value);
        update(false);
      });
      label.append(box, ` ${seed}`);
      return label;
    }));
  };

  // The chart: a thin line for each seed, a thick one for their mean.
  const drawn = () => [...kept.filter((one) => !same(one, lineOf())), lineOf()].map((line) => ({
    ...line, cells: line.cells.filter((cell) => !choice.seeds || choice.seeds.includes(text(cell, "seed"))),
  }));
  const mean = (rows) => rows[0]?.map((_, layer) => {
    const finite = rows.map((row) => row[layer]).filter((value) => value !== null);
    return finite.length ? finite.reduce((a, b) => a + b, 0) / finite.length : null;
  }) ?? [];
  const ticks = (top) => {
    const rough = top / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
    return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, place) => place * step);
  };
  const path = (values, x, y) => {
    let pen = "M";
    return values.map((value, layer) => {
      if (value === null) { pen = "M"; return ""; }
      const point = `${pen}${x(layer).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
      return point;
    }).join("");
  };

  const draw = () => {
    const shown = drawn(), rows = shown.map((line) => line.cells.map((cell) => data.cells[cell].values[line.measure]));
    const every = rows.flat(2).filter((value) => value !== null);
    const layers = data.layers[data.cells[shown.at(-1).cells[0] ?? 0].layers];
    const count = Math.max(1, ...rows.flat().map((row) => row.length));
    const alike = new Set(shown.flatMap((line) => line.cells.map((cell) => data.cells[cell].layers))).size <= 1;
    const quotient = shown.every((line) => QUOTIENTS.test(data.measures[line.measure].label));
    const top = Math.max(quotient ? 1.1 : 0, 1.05 * Math.max(...every, 0)) || 1;
    const [width, height, left, right, above, below] = [Math.max(280, chart.clientWidth), 380, 52, 12, 14, alike && count <= 40 ? 96 : 40];
    const x = (layer) => left + (width - left - right) * (layer + 0.5) / count;
    const y = (value) => above + (height - above - below) * (1 - value / top);
    const picture = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": shown.map(labelOf).join("; ") });
    for (const tick of ticks(top)) {
      picture.append(
        make("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
        make("text", { class: "tick value", x: left - 6, y: y(tick) + 4 }, number(tick)),
      );
    }
    if (quotient) picture.append(make("line", { class: "reference", x1: left, x2: width - right, y1: y(1), y2: y(1) }));
    for (let layer = 0; layer < count; layer += 1) {
      if (alike && count <= 40) picture.append(make("text", { class: "tick layer", transform: `translate(${x(layer) + 3} ${height - below + 8}) rotate(-90)` }, layers[layer][0]));
      else if (layer === 0 || (layer + 1) % 5 === 0) picture.append(make("text", { class: "tick number", x: x(layer), y: height - below + 16 }, layer + 1));
    }
    picture.append(make("text", { class: "title", x: left, y: height - 4 }, alike ? "layer" : "layer, by its number"));
    points = [];
    shown.forEach((line, place) => {
      const series = make("g", { class: `series series-${place}` });
      const values = rows[place];
      for (const row of values.length > 1 ? values : []) series.append(make("path", { class: "seed", d: path(row, x, y) }));
      series.append(make("path", { class: "mean", d: path(mean(values), x, y) }));
      line.cells.forEach((cell, seed) => values[seed].forEach((value, layer) => {
        if (value === null) return;
        const mark = make("circle", { cx: x(layer), cy: y(value), r: values.length > 1 ? 2.5 : 3.5 });
        points.push({ cell, line, layer, value, mark, x: x(layer), y: y(value) });
        series.append(mark);
      }));
      picture.append(series);
    });
    chart.replaceChildren(picture);
    focus = null;
    lines.replaceChildren(...shown.map((line, place) => {
      const item = html("li", labelOf(line), `series-${place}`);
      item.append(html("span", ` (n = ${line.cells.length})`, "quiet"));
      return item;
    }));
    form.querySelector(".count").textContent = `${lineOf().cells.length} of ${cells.length} measured cells`;
    form.elements.clear.hidden = !kept.length;
  };

  // A value: its layer, how many units it is the mean of, and, when it is clicked, the cell.
  const leftOut = (point) => {
    const found = data.cells[point.cell].left[point.line.measure]?.find(([layer]) => layer === point.layer);
    const counts = found ? ["infinite", "dead", "undefined"].map((what, place) => [found[place + 1], what]) : [];
    return counts.filter(([count]) => count).map(([count, what]) => `, ${count.toLocaleString("en")} ${what}`).join("");
  };
  const point = (one) => {
    focus?.mark.classList.remove("focused");
    focus = one;
    if (!one) return;
    one.mark.classList.add("focused");
    const cell = data.cells[one.cell], [layer, kind] = data.layers[cell.layers][one.layer];
    const units = data.units[cell.units[one.line.measure]][one.layer];
    pointed.textContent = `${layer} (${kind}, layer ${one.layer + 1}): ${data.measures[one.line.measure].label} ${number(one.value)}, ` +
      `mean over ${units.toLocaleString("en")} units${leftOut(one)}; seed ${text(one.cell, "seed")}`;
  };
  const resolved = (value) => {
    if (value && typeof value === "object" && "part" in value) return resolved(data.specs[value.part]);
    if (Array.isArray(value)) return value.map(resolved);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one)]));
    return value;
  };
  const showCell = (one) => {
    const cell = data.cells[one.cell], made = data.made[cell.made];
    const list = document.createElement("dl"), spec = document.createElement("details");
    const facts = { Cell: cell.key, Commit: made.commit, Processor: made.processor, Started: cell.started, Time: cell.time };
    for (const [name, value] of Object.entries(facts)) {
      const pair = document.createElement("div");
      pair.append(html("dt", name), html("dd", value));
      list.append(pair);
    }
    const link = html("a", "In the list of cells");
    link.href = `#cell-${cell.key.slice(cell.key.lastIndexOf("-") + 1)}`;
    spec.open = true;
    const content = html("pre", JSON.stringify(resolved(data.specs[cell.spec]), null, 1), "scroll");
    content.tabIndex = 0;
    spec.append(html("summary", "Spec: all that determines its values"), content);
    shownCell.replaceChildren(list, link, spec);
  };
  const nearest = (event) => {
    const box = chart.querySelector("svg").getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null, distance = 40 ** 2;
    for (const one of points) {
      const away = (one.x - x) ** 2 + (one.y - y) ** 2;
      if (away < distance) [best, distance] = [one, away];
    }
    return best;
  };
  chart.addEventListener("pointermove", (event) => { const one = nearest(event); if (one && one !== focus) point(one); });
  chart.addEventListener("click", (event) => {
    const one = nearest(event);
    if (one) { point(one); showCell(one); }
  });
  chart.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Enter" && focus) showCell(focus);
    if (!(event.key in moves) || !points.length) return;
    event.preventDefault();
    const current = focus ?? points.at(-1), [along, across] = moves[event.key];
    if (!focus) { point(points[0]); return; }
    const lanes = [...new Set(points.map((one) => `${one.cell}/${one.line.measure}`))];
    const lane = lanes.indexOf(`${current.cell}/${current.line.measure}`) + across;
    const next = points.filter((one) => `${one.cell}/${one.line.measure}` === lanes[lane]);
    const layer = current.layer + along;
    const found = next.filter((one) => (along > 0 ? one.layer >= layer : along < 0 ? one.layer <= layer : true));
    const best = found.sort((a, b) => Math.abs(a.layer - layer) - Math.abs(b.layer - layer))[0];
    if (best) point(best);
  });

  // The tidy table of some cells: a row for each layer and measure.
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const csv = (chosen, wanted = null) => {
    const head = [...NAMES.map((name) => name.replaceAll(" ", "_")), "measure", "layer_index", "layer", "kind", "value", "units", "infinite", "dead", "nan", "cell"];
    const rows = [head.join(",")];
    for (const place of chosen) {
      const cell = data.cells[place], layers = data.layers[cell.layers], words = NAMES.map((name) => quoted(text(place, name)));
      for (const [measure, values] of Object.entries(cell.values)) {
        if (wanted && !wanted.has(Number(measure))) continue;
        const units = data.units[cell.units[measure]], left = new Map((cell.left[measure] ?? []).map(([layer, ...counts]) => [layer, counts]));
        values.forEach((value, layer) => {
          if (units[layer] === null) return;
          rows.push([...words, quoted(data.measures[measure].label), layer + 1, quoted(layers[layer][0]), layers[layer][1], value ?? "",
            units[layer], ...(left.get(layer) ?? [0, 0, 0]), cell.key].join(","));
        });
      }
    }
    return `${rows.join("\n")}\n`;
  };

  const remember = () => address.set({
    profile: CHOSEN.map((name) => data.choices[name][choice[name]]).join("|"),
    measure: data.measures[choice.measure].name,
    seeds: choice.seeds && choice.seeds.join("|"),
  });
  const update = (controls = true) => {
    if (controls) { settle(); offer(); }
    draw();
    remember();
  };
  const choose = (cell) => {
    for (const name of CHOSEN) choice[name] = data.of[name][cell];
    choice.seeds = null;
  };

  const restore = () => {
    const values = address.values();
    values.get("profile")?.split("|").forEach((word, place) => {
      const found = data.choices[CHOSEN[place]]?.indexOf(word) ?? -1;
      if (found >= 0) choice[CHOSEN[place]] = found;
    });
    if (values.has("measure")) choice.measure = data.measures.findIndex((one) => one.name === values.get("measure"));
    if (values.has("profile")) choice.seeds = values.get("seeds")?.split("|") ?? null;
    settle();
    offer();
    draw();
  };

  if (cells.length) {
    document.querySelector("#profiles .static").hidden = true;
    form.hidden = explored.hidden = false;
    choose(0);
    choice.measure = Math.max(0, data.measures.findIndex((one) => one.label === "NV of maps"));
    address.follow(restore);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.elements.keep.addEventListener("click", () => {
      const line = lineOf();
      if (!kept.some((one) => same(one, line))) kept = [...kept, line].slice(-KEPT);
      draw();
    });
    form.elements.clear.addEventListener("click", () => { kept = []; draw(); });
    form.elements.save.addEventListener("click", () => {
      const shown = drawn();
      save("profiles.csv", csv([...new Set(shown.flatMap((line) => line.cells))], new Set(shown.map((line) => line.measure))));
    });
    addEventListener("resize", draw);
    for (const row of all(".values[data-experiment]")) {
      const name = row.dataset.experiment, own = data.experiments[name] ?? [];
      row.hidden = !own.length;
      row.addEventListener("click", ({ target }) => {
        if (target.name === "save") save(`${name}_profiles.csv`, csv(own));
        if (target.name !== "explore") return;
        choose(own[0]);
        update();
        document.getElementById("profiles").scrollIntoView();
      });
    }
    document.getElementById(address.place())?.scrollIntoView(); // what stands above it has grown
  }
});
