// A link leads to its target, even where that is folded or filtered away, and so does an address from outside.
{
  const reveal = (id) => {
    const target = document.getElementById(id);
    if (!target) return;
    if (target.closest("[hidden]")) target.closest("main > section")?.querySelector("form.filter")?.reset();
    for (let place = target; place; place = place.parentElement) {
      if (place.hidden) place.hidden = false;
      if (place.localName === "details") place.open = true;
    }
    setTimeout(() => target.scrollIntoView());
  };
  addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (!link || link.closest("dialog")) return;
    event.preventDefault();
    const id = decodeURIComponent(link.hash.slice(1));
    if (id !== address.place()) history.pushState(null, "", link.hash);
    reveal(id);
    if (link.closest(".toc")) link.closest(".toc").open = false;
    if (link.classList.contains("skip")) document.getElementById(id).focus();
  });
  address.follow(() => { if (address.place()) reveal(address.place()); });

  const fold = document.querySelector("#experiments .fold");
  if (fold) {
    fold.hidden = false;
    fold.addEventListener("click", ({ target: { name } }) => {
      if (!name) return;
      for (const details of all("#experiments .experiment > details")) details.open = name === "open";
    });
  }
  const copy = document.querySelector("#cite [name='copy']");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.querySelector("#cite pre").textContent);
      copy.textContent = "Copied";
    });
  }
}

// In the contents, the section that is being read.
{
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
}

// On paper everything is open but what is long: tables, sizes, sources and cells, which the style leaves out there.
{
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("main details:not([open], .cells, .long, .table, .sizes)");
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
}
