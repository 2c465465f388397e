// Claims are filtered by words, dataset and verdict; the choice stands in the address.
{
  const form = document.getElementById("claims-filter");
  const wordsOf = (text) => text.toLowerCase().split(/[^\p{L}\p{N}.]+/u).filter(Boolean);
  const texts = new Map(all(".claim").map((claim) => [claim, wordsOf(all("h3, .statistic", claim).map((one) => one.textContent).join(" "))]));
  const found = (claim, terms) =>
    terms.every((term) => texts.get(claim).some((word) => word.startsWith(term)));

  const apply = () => {
    const chosen = new FormData(form);
    const terms = wordsOf(chosen.get("text")), dataset = chosen.get("dataset"), verdicts = chosen.getAll("verdict");
    const findings = all(".finding");
    for (const claim of all(".claim")) {
      const here = found(claim, terms);
      for (const finding of all(".finding", claim)) {
        const { verdict, datasets } = finding.dataset;
        finding.hidden =
          !here || !verdicts.includes(verdict) || (dataset !== "" && !datasets.split(" ").includes(dataset));
      }
      claim.hidden = all(".finding", claim).every((finding) => finding.hidden);
    }
    const left = findings.filter((finding) => !finding.hidden).length;
    form.querySelector(".count").textContent = `${left} of ${findings.length} tests shown`;
    document.querySelector("#claims .nothing").hidden = left > 0;
  };
  const keep = () => {
    const chosen = new FormData(form), verdicts = chosen.getAll("verdict");
    const every = all("[name='verdict']", form).length === verdicts.length;
    address.set({ text: chosen.get("text"), dataset: chosen.get("dataset"), verdict: every ? null : verdicts.join("|") });
  };
  const restore = () => {
    const values = address.values();
    form.elements.text.value = values.get("text") ?? "";
    form.elements.dataset.value = values.get("dataset") ?? "";
    const verdicts = values.get("verdict")?.split("|");
    for (const box of all("[name='verdict']", form)) box.checked = !verdicts || verdicts.includes(box.value);
  };
  if (form) {
    form.hidden = false;
    form.addEventListener("input", () => { apply(); keep(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { apply(); keep(); }));
    address.follow(() => { restore(); apply(); });
  }
}
