"""What is on the page: all of the study, as it is on disk, and nothing that could reach outside."""

import base64
import io
import json
import math
import re
from collections import Counter
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from markupsafe import escape

from cnn_invariance.errors import InputError
from cnn_invariance.paper import points
from cnn_invariance.plotting import Caption
from cnn_invariance.report import claims, page, sources
from cnn_invariance.report.page import drawn_views, inline_svg, origins
from cnn_invariance.report.page.contents import read_contents
from cnn_invariance.report.page.inline_svg import Definitions
from cnn_invariance.report.page.rendering import html
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

ROOT = Path(__file__).parents[2]
VOID = {"br", "circle", "hr", "img", "input", "line", "link", "meta", "path", "rect"}


class Elements(HTMLParser):
    """All elements of a page, (tag, attributes); those left open are an error."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} has an attribute twice: {names}"
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


def section(written, name):
    """The text of a section, as HTML."""
    start = written.text.index(f'<section id="{name}"')
    return written.text[start : written.text.index("<section id=", start + 1)]


@pytest.fixture(scope="module", params=["quick", "everything"])
def written(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def elements(written):
    return Elements(written.text)


def test_the_verdicts_are_those_of_the_claims(written, elements):
    shown = Counter(one["data-verdict"] for one in elements.all("li") if one.get("class") == "finding")
    assert shown == Counter(row["verdict"] for row in written.claims)
    for verdict in claims.VERDICTS:
        assert f"{verdict} {shown[verdict]}" in elements.text.replace("\xa0", " ")


def test_each_claim_has_its_numbers_and_its_cells(written, elements):
    known = sum(math.isfinite(float(row.get("low") or "nan")) for row in written.claims)
    assert section(written, "claims").count('<svg class="interval"') == known
    links = Counter(one["href"] for one in elements.all("a") if "href" in one)
    sources = {}
    for row in (row for row in written.claims if row["cells"] and not row["condition"]):
        sources.setdefault((row["experiment"], row["claim"]), []).append((row["about"], tuple(row["cells"])))
    alone = {tuple(found) for found in sources.values()}
    keys = Counter(key for found in alone for _, cells in found for key in cells)
    assert keys
    assert {key: links[f"#{origins.anchor(key)}"] for key in keys} == keys
    assert elements.text.count("an earlier claim") == len(sources) - len(alone)
    for row in written.claims:
        for name in ("statement", "statistic", "rule", "reason", "about"):
            assert " ".join(row.get(name, "").split()) in elements.text


def test_no_experiment_is_missing(written, elements):
    ids = [one["id"] for one in elements.all("details") if one.get("id", "").startswith("experiment-")]
    assert sorted(ids) == sorted(f"experiment-{name}" for name in written.plan.study.experiments)
    for chosen in written.plan.study.experiments.values():
        assert chosen.question in elements.text


def test_every_figure_and_table_is_there_with_its_caption(written, elements):
    plan, text = written.plan, elements.text
    computed = [name for name in plan.study.experiments if not plan.lacking(name)]
    wanted = {name for one in computed for name in plan.study.outputs[one].figures} | {"overview", "claims", "summary"}
    ids = {one["id"].removeprefix("figure-") for one in elements.all("figure")}
    wanted |= {Products.curve(name) for name in Products(plan).specified if name in computed}
    assert ids - {"verification"} == wanted
    said = {one["id"].removeprefix("drawn-"): one["aria-label"] for one in elements.all("svg") if "id" in one}
    assert set(said) == ids
    drawn = (path for path in Products(plan).on_page if plan.folders.figures in path.parents and path.is_file())
    for path in (path for path in drawn if path.suffix == ".json"):
        caption = Caption.from_record(json.loads(path.read_text(encoding="utf-8"))["caption"])
        assert said[path.stem].startswith(caption.finding or caption.title), "what a figure says is what was found"
    for experiment_id in computed:
        for path in Products(plan).figures(experiment_id):
            if path.suffix == ".json":
                caption = Caption.from_record(json.loads(path.read_text(encoding="utf-8"))["caption"])
                said = [caption.title, caption.question, *caption.setting, caption.counts]
                said += [f"{dataset}, {size}" for dataset, size in caption.sizes.items()]
                said += [phrase for phrases in caption.departures.values() for phrase in phrases]
                assert len(said) > 5
                assert [one for one in said if one not in text] == []
    tables = {one["id"][6:] for one in elements.all("details") if one.get("id", "").startswith("table-")}
    announced = {name for one in computed for name in plan.study.outputs[one].tables}
    assert tables - {"verification"} == announced | {"costs", "specifications"}


def test_a_figure_has_the_size_it_has_on_paper(quick):
    folder = quick.plan.folders.figure_folder("quick", "overview")
    width, height = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', (folder / "overview.svg").read_text()).groups()
    picture = drawn_views.read_figure(folder, "overview", Definitions())
    assert picture.pixels == (round(float(width) * 96 / 72), round(float(height) * 96 / 72))


def test_what_is_not_computed_yet_is_said(everything, quick):
    text = Elements(everything.text).text
    lacking = len(everything.plan.lacking("feature_maps"))
    assert lacking > 0
    assert f"Not yet computed: {lacking} of its {lacking} cells are missing" in text
    assert f"feature maps ({lacking} of {lacking} cells missing)." in text
    assert "4 of 5 computed" in text
    assert "Not yet computed" not in Elements(quick.text).text


def test_a_verification_is_shown_if_there_was_one(everything, quick):
    assert "No verification was run" not in Elements(everything.text).text
    assert 'id="figure-verification"' in everything.text
    assert "agrees" in Elements(everything.text).text
    assert "snakemake verify" in Elements(quick.text).text


def test_provenance_counts_every_computed_cell(written, elements):
    plan = written.plan
    computed = [cell for cell in plan.cells if plan.results.has(cell)]
    found = read_contents(plan).origins
    assert sum(group.cells for group in found.machines) == len(computed)
    assert sum(group.cells for group in found.commits) == len(computed)
    assert {one.key for one in found.cells} == {cell.key for cell in computed}
    for cell in computed:
        known = plan.results.provenance(cell)
        for name in ("cpu", "python", "torch", "numpy", "platform", "commit"):
            assert str(known[name]) in elements.text
    for name in plan.study.datasets:
        assert plan.study.dataset(name).fingerprint in elements.text
    assert " ".join(plan.study.path.read_text(encoding="utf-8").split()) in elements.text


def test_the_same_files_give_the_same_page(quick, tmp_path):
    page.write(Plan(quick.plan.study, quick.plan.folders), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == quick.path.read_bytes()


def test_a_hostile_text_is_text(everything):
    elements = Elements(everything.text)
    assert [one.get("type", "") for one in elements.all("script")] == ["text/plain", ""]
    assert not any("onerror" in attributes for _, attributes in elements.found)
    assert all(re.match("data:image/(png|webp);base64,", image["href"]) for image in elements.all("image"))
    assert elements.all("img") == []
    assert elements.text.count("<script>document.title='stolen'</script>") >= 6


def test_nothing_outside_is_asked_for(elements):
    for tag, attributes in elements.found:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            if tag == "a" and attributes.get("href", "").startswith("https://doi.org/"):
                continue  # followed by who wants, never by itself
            assert attributes.get(name, "#").startswith(("#", "data:")), f"{tag} {name}"
        assert "style" not in attributes, f"the policy forbids the style of {tag}"
    (policy,) = (one["content"] for one in elements.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; font-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert str(ROOT) not in elements.text


def test_ids_are_unique_and_every_link_inside_lands(elements):
    ids = Counter(attributes["id"] for _, attributes in elements.found if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    links = [one["href"] for tag in ("a", "use") for one in elements.all(tag) if "href" in one]
    targets = {link[1:] for link in links if link.startswith("#")}
    targets |= {name for _, one in elements.found for name in re.findall(r"url\(#(.*?)\)", one.get("clip-path", ""))}
    assert targets
    labels = {name for _, one in elements.found for name in one.get("aria-labelledby", "").split()}
    assert (targets | labels) - set(ids) == set()


def test_headings_never_skip_a_level(elements):
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("gone", ["heatmap/heatmap_mnist5k_scale.png", "overview/overview.json"])
def test_a_figure_that_is_not_drawn_is_named(everything, gone, tmp_path, monkeypatch):
    path = everything.plan.folders.figures / "quick" / gone
    path.rename(tmp_path / "kept")
    try:
        with pytest.raises(InputError, match=f"{path.name} is missing; `snakemake report` draws"):
            page.write(everything.plan, tmp_path / "page.html")
    finally:
        (tmp_path / "kept").rename(path)
    assert not (tmp_path / "page.html").exists()


def test_texts_of_figures_are_the_texts_that_were_drawn(quick):
    """Matplotlib writes each text as a comment before its outlines; formulas stay outlines."""
    seen = set()
    for path in sorted(quick.plan.folders.figures.glob("quick/*/*.svg")):
        text = path.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
        comments = re.findall("<!-- (.*?) -->", text, re.DOTALL)
        drawn = Counter(line.strip() for comment in comments for line in comment.splitlines() if line.strip())
        texts = re.findall("<text[^>]*>(.*?)</text>", inline_svg.inline(text, Definitions()))
        shown = Counter(unescape(one).strip() for one in texts)
        formulas = {one for one in drawn if "$" in one}
        assert {one: n for one, n in shown.items() if one not in drawn} == {}, path.name
        assert {one for one in drawn if shown[one] < drawn[one]} <= formulas, path.name
        seen |= set(shown)
    assert len(seen) > 100


def test_the_font_of_the_page_has_the_letters_of_its_figures_and_no_others(quick):
    fonts = re.findall(r"font-weight: (\w+); src: url\(data:font/woff;base64,([^)]+)\)", quick.text)
    assert [weight for weight, _ in fonts] == ["normal", "bold"]
    texts = re.findall(
        r"<text x=[^>]*>([^<]*)</text>", "".join(re.findall('<svg id="drawn.*?</svg>', quick.text, re.DOTALL))
    )
    wanted = set(unescape("".join(texts)))
    found = [set(map(chr, TTFont(io.BytesIO(base64.b64decode(data))).getBestCmap())) for _, data in fonts]
    assert wanted <= found[0] | found[1]
    assert all(len(one) < 120 for one in found)


def test_a_table_on_the_page_is_the_printed_one(quick):
    text = (quick.plan.folders.table_folder("quick") / "compare_models.md").read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.replace("\\_", "_").splitlines() if line.startswith("|")]
    header, rule, *rows = lines
    start = quick.text.index("<table>", quick.text.index('id="table-compare_models"'))
    table = quick.text[start : quick.text.index("</table>", start)]
    assert re.findall("<th .*?>(.*?)</th>", table) == header
    assert re.findall("<td.*?>(.*?)</td>", table) == [cell for row in rows for cell in row]
    numbers = [mark == "---:" for mark in rule]
    assert ['class="number"' in tag for tag in re.findall("<th .*?>", table)] == numbers
    assert ['class="number"' in tag for tag in re.findall("<td.*?>", table)] == numbers * len(rows)


def test_a_caption_without_parts_is_shown_whole(everything):
    assert '<p class="note">Cells again. These are few.</p>' in everything.text
    contents = read_contents(everything.plan)
    text = html(replace(contents, overview=replace(contents.overview, caption=Caption.from_text("All. Of it."))))
    assert 'role="img" aria-label="All. Of it."' in text
    assert "<figcaption>All. Of it. <a" in text
    assert "<strong>.</strong>" not in text


def test_a_summarised_experiment_is_shown_apart_with_its_table_open(quick):
    contents = read_contents(quick.plan)
    apart = [replace(one, summarised=one.name == "accuracy") for one in contents.experiments]
    text = html(replace(contents, experiments=apart))
    apart = text[text.index('<section id="published"') : text.index('<section id="overview"')]
    assert text.count('id="experiment-accuracy"') == apart.count('id="experiment-accuracy"') == 1
    assert 'id="table-accuracy" open' in apart
    assert "This preset has no experiment that compares" not in apart
    assert "This preset has no experiment that compares" in quick.text
    assert 'id="table-accuracy" open' not in quick.text


def test_the_page_has_a_folder_of_its_own():
    assert Folders().page("laptop") == Path("report/laptop.html")


def test_the_page_says_what_there_was_and_what_each_source_says(quick):
    text = section(quick, "departures")
    assert "Nobody here has the text of the paper" in text
    assert str(escape(sources.summary(points.points()))) in text
    for one in points.chosen("formula"):
        assert str(escape(one.says)) in text, one.name
        assert str(escape(one.how)) in text, one.name
