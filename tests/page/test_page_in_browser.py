"""The page in a real browser, Chromium without a window: what a reader sees and can do, without a network."""

import io
import json
import os
import shutil
import subprocess
import time
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from cnn_invariance.report import profiles

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = "no chromium and chromedriver are installed (Debian: apt-get install chromium chromium-driver)"

PHONE, LAPTOP, WIDE = (360, 740), (1280, 800), (1600, 1000)


@pytest.fixture(scope="module")
def chromium():
    """A browser that has no network; it logs every request and every message of its console."""
    if not (BROWSER and DRIVER):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (
        *("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking"),
        *("host-resolver-rules=MAP * ~NOTFOUND", "window-size=1280,800"),
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(chromium):
    """Show a page at a size of the window; returns the browser."""

    def open_page(written, size=LAPTOP, scheme="light"):
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})
        read(chromium, written)
        return chromium

    return open_page


def read(browser, written, address=""):
    """Open a page, and wait until it is read to its end, for which the driver does not always wait."""
    browser.get("about:blank")
    browser.get(written.path.as_uri() + address)
    end = time.monotonic() + 30
    while not is_read(browser):
        assert time.monotonic() < end, "the page was not read to its end"
        time.sleep(0.02)


def is_read(browser):
    """Whether the page is read to its end, footer included; also where scripts are disabled."""
    read = "document.readyState === 'complete' && document.querySelector('footer') !== null"
    return browser.execute_cdp_cmd("Runtime.evaluate", {"expression": read})["result"]["value"]


def ask(browser, script, *arguments):
    """What a script of the driver's returns; the page's policy does not hold for it."""
    return browser.execute_script(script, *arguments)


def keys(browser, selector, text):
    """Type into an element, in place of what it holds."""
    from selenium.webdriver.common.by import By

    element = browser.find_element(By.CSS_SELECTOR, selector)
    ask(browser, "arguments[0].scrollIntoView({block: 'center'})", element)
    if element.tag_name == "input":
        element.clear()
    element.send_keys(text)


def click(browser, selector):
    """Click as a reader would: where the element is, and it must be there."""
    from selenium.webdriver.common.by import By

    element = browser.find_element(By.CSS_SELECTOR, selector)
    ask(browser, "arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


SHOWN = "[...document.querySelectorAll(arguments[0])].filter(one => one.checkVisibility()).length"


def shown(browser, selector):
    """How many elements of a kind are to be seen."""
    return ask(browser, f"return {SHOWN}", selector)


def until(browser, script, *arguments):
    """Wait until a script returns what is true; what it returns never becomes so: an error."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda browser: ask(browser, script, *arguments), script)


def until_shown(browser, selector, count):
    """Wait until so many elements of a kind are to be seen."""
    until(browser, f"return {SHOWN} === arguments[1]", selector, count)


def test_it_loads_alone_and_without_complaint(show, everything):
    show(everything).get_log("performance")
    show(everything).get_log("browser")
    browser = show(everything)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert everything.path.as_uri() in asked
    assert [url[:80] for url in asked if not url.startswith("data:") and url != everything.path.as_uri()] == []
    assert browser.get_log("browser") == []
    assert "stolen" not in browser.title


def test_the_policy_keeps_out_what_would_come_in(show, quick):
    browser = show(quick)
    ask(browser, """
        const image = document.createElement("img"); image.src = "https://example.invalid/x.png";
        document.body.append(image);
        const script = document.createElement("script"); script.textContent = "window.stolen = true";
        document.body.append(script);
    """)  # fmt: skip
    assert ask(browser, "return window.stolen") is None
    violations = [entry["message"] for entry in browser.get_log("browser")]
    assert sum("Content Security Policy" in message for message in violations) >= 2


def test_every_figure_is_drawn_where_it_is_opened(show, everything):
    browser = show(everything)
    ask(browser, "document.querySelectorAll('main details').forEach(details => { details.open = true; })")
    drawn = ask(browser, """
        return [...document.querySelectorAll("figure[id] svg")].map(svg => {
            const box = svg.getBBox(), uses = [...svg.querySelectorAll("use[href^='#t']")];
            const letters = !uses.length || uses.some(use => use.getBBox().width > 0);
            return [svg.id, svg.getBoundingClientRect().width, box.width, box.height, letters];
        });
    """)  # fmt: skip
    assert len(drawn) == everything.text.count("<figure ")
    for name, shown_width, width, height, with_letters in drawn:
        assert shown_width > 100, name
        assert min(width, height) > 50, name
        assert with_letters, name


def test_every_link_inside_lands_in_sight(show, everything):
    browser = show(everything)
    links = ask(browser, """
        const found = [];
        for (const link of document.querySelectorAll("a[href^='#']")) {
            const hash = link.getAttribute("href");
            const target = document.getElementById(decodeURIComponent(hash.slice(1)));
            found.push([hash, Boolean(target)]);
        }
        return found;
    """)  # fmt: skip
    assert len(links) > 50
    assert [hash for hash, there in links if not there] == []
    key = everything.claims[0]["cells"][0]
    for hash in ("#experiment-heatmap", f"#cell-{key.rpartition('-')[2]}"):  # the latter in a closed list
        show(everything)
        ask(browser, "document.querySelector(`a[href='${arguments[0]}']`).click()", hash)
        until(browser, """
            const target = document.querySelector(arguments[0]), box = target.getBoundingClientRect();
            return target.checkVisibility() && box.top < innerHeight && box.bottom > 0;
        """, hash)  # fmt: skip


def test_claims_are_filtered_by_verdict_dataset_and_words(show, everything):
    browser, rows = show(everything), everything.claims
    total = len(rows)
    assert shown(browser, ".finding") == total

    click(browser, "#claims-filter [value='supported']")
    others = [row for row in rows if row["verdict"] != "supported"]
    assert shown(browser, ".finding") == len(others) < total
    claims = [{(row["experiment"], row["claim"]) for row in some} for some in (others, rows)]
    assert shown(browser, ".claim") == len(claims[0]) < len(claims[1])
    click(browser, "#claims-filter [value='supported']")
    assert shown(browser, ".finding") == total

    keys(browser, "#claims-filter select", "mnist5k")
    assert shown(browser, ".finding") == sum(row["datasets"] != ["mnist"] for row in rows) < total
    click(browser, "#claims-filter [type='reset']")
    until_shown(browser, ".finding", total)

    keys(browser, "#claims-filter [type='search']", "NETWORKS accuracy")
    expected = sum("Networks" in row["statement"] for row in rows if row["experiment"] == "accuracy")
    assert shown(browser, ".finding") == expected
    assert 0 < expected < total
    count = ask(browser, "return document.querySelector('#claims-filter .count').textContent")
    assert count == f"{expected} of {total} tests shown"

    keys(browser, "#claims-filter [type='search']", "nothing is called this")
    assert shown(browser, ".finding") == 0
    click(browser, "#claims .nothing button")
    until_shown(browser, ".finding", total)
    assert shown(browser, "#claims .nothing") == 0


FOUND = "return [...document.querySelectorAll('#find .found a')].map(link => link.hash)"


def test_search_finds_words_and_ranks_titles_first(show, everything):
    browser = show(everything)
    keys(browser, "#find input", "compare models")
    assert ask(browser, FOUND)[0] == "#experiment-compare_models"
    keys(browser, "#find input", "heatm")  # the beginning of a word
    assert "#experiment-heatmap" in ask(browser, FOUND)[:2]
    keys(browser, "#find input", "eatmap")  # not its middle
    assert ask(browser, FOUND) == []
    assert "Nothing is found." in ask(browser, "return document.querySelector('#find .count').textContent")
    keys(browser, "#find input", "heatmap\n")  # Enter goes to the first
    until(browser, "return document.getElementById('experiment-heatmap').open")
    assert shown(browser, "#find .found") == 0
    assert ask(browser, "return location.hash") == "#experiment-heatmap"


def test_an_address_opens_what_it_points_to_and_holds_the_state(show, everything):
    browser = show(everything)
    read(browser, everything, "#table-compare_models")  # folded twice
    until(browser, "return document.getElementById('table-compare_models').checkVisibility()")
    read(browser, everything, "#claims&text=accuracy&verdict=undecided%7Cnot+supported")
    left = shown(browser, ".finding")
    assert 0 < left < len(everything.claims)
    click(browser, "#claims-filter [value='undecided']")
    assert "verdict=not+supported" in ask(browser, "return location.hash")
    click(browser, "#claims-filter [type='reset']")
    until(browser, "return location.hash === '#claims'")
    heatmaps = [f"heatmap_mnist5k_{label}" for label in ("rotation", "scale")]
    read(browser, everything, f"#experiment-heatmap&figure={heatmaps[0]}&beside={heatmaps[1]}")
    assert shown(browser, "dialog figure") == 2
    browser.execute_script("document.getElementById('large').close()")
    until(browser, "return location.hash === '#experiment-heatmap'")


def test_folded_the_page_is_short_and_small(show, quick):
    browser = show(quick, WIDE)
    assert ask(browser, "return document.documentElement.scrollHeight / innerHeight") < 25
    assert quick.path.stat().st_size < 8 * 2**20


@pytest.mark.parametrize("size", [PHONE, LAPTOP, WIDE])
def test_the_page_never_scrolls_sideways(show, everything, size):
    browser = show(everything, size)
    ask(browser, "document.querySelectorAll('details').forEach(details => { details.open = true; })")
    width, inner = ask(browser, "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert inner == pytest.approx(size[0], abs=16)
    assert width <= inner
    outside = ask(browser, """
        const right = document.documentElement.clientWidth + 1;
        return [...document.querySelectorAll("main *")]
            .filter(one => !one.closest(".scroll") && one.checkVisibility())
            .filter(one => one.getBoundingClientRect().right > right)
            .map(one => one.outerHTML.slice(0, 80));
    """)  # fmt: skip
    assert outside == []


def test_the_keyboard_is_enough(show, everything):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser = show(everything)

    def press(key):
        ActionChains(browser).send_keys(key).perform()
        return ask(
            browser, "return document.activeElement.matches(':focus-visible') && document.activeElement.outerHTML"
        )

    assert "Skip to the content" in press(Keys.TAB)
    assert ask(browser, "return document.activeElement.getBoundingClientRect().top") >= 0
    press(Keys.ENTER)
    assert ask(browser, "return document.activeElement.id") == "content"
    reached = []
    for _ in range(80):
        reached.append(press(Keys.TAB))
        if 'value="undecided"' in str(reached[-1]):
            break
    for part in ('type="search"', "<select", 'value="supported"', 'value="undecided"'):
        assert any(part in str(one) for one in reached), part
    assert all(reached), "what has the focus shows it"
    press(Keys.SPACE)
    assert shown(browser, ".finding") == sum(row["verdict"] != "undecided" for row in everything.claims)


def test_figures_are_enlarged_one_after_the_other_and_side_by_side(show, quick):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser = show(quick)
    ask(browser, """
        URL.createObjectURL = blob => { window.blob = blob; return "#"; };
        document.getElementById("experiment-compare_models").open = true;
    """)  # fmt: skip
    click(browser, "#figure-compare_models .enlarge")
    label = "return document.getElementById('large').getAttribute('aria-label')"
    first = ask(browser, label)
    width = "return document.querySelector('dialog .sheet svg').getBoundingClientRect().width"
    small = ask(browser, width)
    click(browser, "dialog [name='larger']")
    assert ask(browser, width) == pytest.approx(1.25 * small, rel=0.03)  # a scroll bar may have come
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
    assert ask(browser, label) != first
    ActionChains(browser).send_keys(Keys.ARROW_LEFT).perform()
    assert ask(browser, label) == first
    keys(browser, "dialog select", "compare models NVSE")
    assert shown(browser, "dialog figure") == shown(browser, "dialog figcaption") == 2
    svg = ElementTree.fromstring(browser.execute_async_script("window.blob.text().then(arguments[0]);"))
    ids = {one.get("id") for one in svg.iter()}
    links = {one.get("href", "")[1:] for one in svg.iter() if one.tag.endswith("}use")}
    marks = {one.get("marker-mid", "url(#)")[5:-1] for one in svg.iter()} - {""}
    assert min(len(links), len(marks)) > 2
    assert links | marks <= ids, "what is saved needs nothing of the page"
    (style,) = (one.text for one in svg.iter() if one.tag.endswith("}style"))
    assert style.count("@font-face") == 2
    assert "text { font-family: Figures" in style.replace('"', "")
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    until(browser, "return !document.querySelector('dialog').open")
    assert "Enlarge" in ask(browser, "return document.activeElement.textContent")


def test_profiles_are_explored_down_to_the_cell(show, quick):
    """What is shown of a value is what the result file has."""
    browser = show(quick)
    keys(browser, "#explorer [name='under']", "scale")
    chart = "document.querySelector('.chart')"
    ask(browser, f"{chart}.scrollIntoView({{block: 'center'}}); {chart}.focus()")
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(browser).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ENTER).perform()
    key = ask(browser, "return document.querySelector('.cell-shown dd').textContent")
    (cell,) = (one for one in quick.plan.measurements if one.key == key)
    assert cell.transformations.name == "scale"
    profile = quick.plan.results.profile(cell, "NV[aggregate=mean]")
    said = ask(browser, "return document.querySelector('.pointed').textContent")
    assert said.startswith(f"{profile['layer'][1]} ({profile['kind'][1]}, layer 2): NV of maps ")
    assert float(said.partition("NV of maps ")[2].partition(",")[0]) == pytest.approx(profile["value"][1], rel=1e-3)
    assert f"mean over {profile['units'][1]:,} units" in said
    assert json.loads(ask(browser, "return document.querySelector('.cell-shown pre').textContent")) == json.loads(
        cell.canonical
    )
    assert quick.plan.results.provenance(cell)["commit"] in ask(browser, f"return {chart}.parentElement.textContent")
    points = shown(browser, ".chart circle")
    click(browser, "#explorer [name='keep']")
    keys(browser, "#explorer [name='under']", "rotation")
    assert shown(browser, ".chart circle") > points
    assert shown(browser, ".lines li") == 2
    assert "profile=" in ask(browser, "return location.hash")


def test_a_table_is_saved_as_the_file_that_it_is(show, quick):
    browser = show(quick)
    ask(browser, """
        URL.createObjectURL = blob => { window.blob = blob; return "#"; };
        document.getElementById("experiment-compare_models").open = true;
        document.getElementById("table-compare_models").open = true;
    """)  # fmt: skip
    link = "#table-compare_models a[download]"
    assert ask(browser, f"return document.querySelector('{link}').textContent") == "compare_models.csv"
    click(browser, link)
    until(browser, "return window.blob")
    text = browser.execute_async_script("window.blob.text().then(arguments[0]);")
    assert text == (quick.plan.folders.table_folder("quick") / "compare_models.csv").read_text(encoding="utf-8")


def test_the_values_of_an_experiment_are_saved_as_a_tidy_table(show, quick):
    browser = show(quick)
    ask(browser, """
        window.saved = null;
        URL.createObjectURL = blob => { window.blob = blob; return "#"; };
        document.getElementById("experiment-augmentation_intensity").open = true;
    """)  # fmt: skip
    click(browser, "[data-experiment='augmentation_intensity'] [name='save']")
    text = browser.execute_async_script("const done = arguments[0]; window.blob.text().then(done);")
    saved = pd.read_csv(io.StringIO(text))
    tidy = profiles.tidy(quick.plan, "augmentation_intensity")
    tidy = tidy[tidy["measure"].isin(saved["measure"])]
    assert set(tidy["measure"]) >= {"NV of maps", "TV of units", "SV of units"}  # those of its figures
    columns = [name.replace(" ", "_") for name in tidy.columns if name not in ("experiment", "depth")]
    assert list(saved.columns) == columns
    assert len(saved) == len(tidy) > 100
    order = ["cell", "measure", "layer_index"]
    both = [frame.sort_values(order).reset_index(drop=True) for frame in (saved, tidy)]
    assert np.allclose(both[0]["value"], both[1]["value"], rtol=5e-4, equal_nan=True)
    for name in ("layer", "kind", "units", "infinite", "dead", "nan", "measure", "under", "network"):
        assert list(both[0][name]) == list(both[1][name]), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_they_stand_on(show, everything, scheme):
    """WCAG 2, level AA: 4.5 for texts, 3 for marks, of every pair of colours that the style sheet puts together."""
    browser = show(everything, scheme=scheme)
    ratios = ask(browser, """
        const style = getComputedStyle(document.documentElement), probe = document.createElement("i");
        document.body.append(probe);
        const luminance = name => {
            probe.style.setProperty("color", style.getPropertyValue(name));
            const linear = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(value => value / 255)
                .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        };
        const contrast = (a, b) => {
            const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
            return (high + 0.05) / (low + 0.05);
        };
        return arguments[0].map(pair => contrast(...pair));
    """, PAIRS)  # fmt: skip
    needed = [4.5 if text in ("--ink", "--quiet", "--link") else 3 for text, _ in PAIRS]
    assert [pair for pair, ratio, least in zip(PAIRS, ratios, needed, strict=True) if ratio < least] == []


PAIRS = [
    *([text, ground] for text in ("--ink", "--quiet", "--link") for ground in ("--paper", "--wash")),
    *([mark, ground] for mark in ("--supported", "--against", "--undecided") for ground in ("--paper", "--wash")),
    ["--ink", "--claimed"],
]


def test_without_scripts_everything_is_there_to_read(show, everything):
    browser = show(everything)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(everything)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert shown(browser, ".finding") == len(everything.claims)
    assert shown(browser, ".experiment") == len(everything.plan.study.experiments)
    assert shown(browser, ".filter, .find, .enlarge, .nothing, .explored, .values, .fold") == 0
    assert shown(browser, "#profiles .static") == 1


def test_on_paper_there_is_all_but_what_is_only_for_screens(show, everything):
    browser = show(everything)
    closed = ask(browser, "return document.querySelectorAll('main details:not([open])').length")
    left = "return document.querySelectorAll('main details:not([open], .cells, .long, .table, .sizes)').length"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    ask(browser, "dispatchEvent(new Event('beforeprint'))")
    assert shown(browser, "nav, .filter, .find, .enlarge, .skip, .download, .thumbnail") == 0
    count = "return document.querySelectorAll(arguments[0]).length"
    assert shown(browser, ".figures figure svg") == ask(browser, count, ".figures") > 0
    kept = ".single:not(.curves) figure:not(#figure-overview)"
    assert shown(browser, ".single figure svg") == ask(browser, count, kept) > 0
    assert shown(browser, "#specifications .on-paper") == 1  # says where the curves are
    assert shown(browser, "details .note.on-paper") == ask(browser, count, ".figures:has(figure + figure)") > 0
    assert ask(browser, left) == 0 < closed
    ask(browser, "dispatchEvent(new Event('afterprint'))")
    assert ask(browser, "return document.querySelectorAll('main details:not([open])').length") == closed


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The script of axe-core, which finds what keeps people from using a page; fetched with npm."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    command = [npm or "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), AXE]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{AXE} cannot be fetched with npm: {error}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


AXE = "axe-core@4.14.1"


@pytest.mark.parametrize(("size", "scheme"), [(LAPTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing(show, everything, axe, size, scheme):
    browser = show(everything, size, scheme)
    ask(browser, "document.querySelectorAll('main details').forEach(details => { details.open = true; })")
    ask(browser, axe)
    browser.set_script_timeout(120)
    found = browser.execute_async_script("""
        const done = arguments[0];  // drawings are images as a whole: what is in them would only take time
        document.querySelectorAll(".sheet svg, .thumbnail, .definitions").forEach(svg => svg.replaceChildren());
        axe.run(document, { resultTypes: ["violations"] }).then(done, String);
    """)  # fmt: skip
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20
