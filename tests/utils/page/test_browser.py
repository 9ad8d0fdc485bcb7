"""The page in a real browser, Debian's headless Chromium; skipped where it, Selenium or Flask is absent."""
import shutil

import made_up
import numpy as np
import pytest
from pages import gallery, png, serving
from PIL import Image
from test_wsdhq_training import run, settings

from gpq import Demo
from gpq.utils.retrieval import by_tag

webdriver = pytest.importorskip("selenium.webdriver")
waiting = pytest.importorskip("selenium.webdriver.support.wait")
server = pytest.importorskip("gpq.utils.page.server", reason='pip install -e ".[page]"')
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(DRIVER is None, reason="there is no chromedriver (apt-get install chromium-driver)")

COUNT = "return document.querySelectorAll('#found li').length"
SLIDE = "const it = document.getElementById('count'); it.value = 40; it.dispatchEvent(new Event('input'))"
ASKED = "return performance.getEntriesByType('resource').map(entry => entry.name)"
DROP = """fetch('gallery/44.png').then(response => response.blob()).then(picture => {
  const dragged = new DataTransfer();
  dragged.items.add(new File([picture], 'dropped.png'));
  document.getElementById('drop').dispatchEvent(new DragEvent('drop', {dataTransfer: dragged, cancelable: true}));
})"""
INKED = """const it = document.getElementById('map'), side = it.width;
const bytes = it.getContext('2d').getImageData(0, 0, side, side).data;
let inked = 0;
for (let place = 3; place < bytes.length; place += 4) inked += bytes[place] > 0;
return inked"""


@pytest.fixture(scope="module")
def shown(sample):
    return gallery(sample, 120)


@pytest.fixture(scope="module")
def address(shown, tmp_path_factory):
    with serving(shown, tmp_path_factory.mktemp("map") / "map.npz") as (host, port):
        yield f"http://{host}:{port}/"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,960",
                     f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield opened
    opened.quit()


@pytest.fixture
def element(browser):
    """(css selector) -> the first such element of the page."""
    return lambda name: browser.find_element("css selector", name)


@pytest.fixture
def wait(browser):
    """(function) returns when that is true."""
    return lambda true: waiting.WebDriverWait(browser, 60, 0.02).until(lambda _: true())


@pytest.fixture
def titled(element, wait):
    """(start of a title) returns when the answer of that title is shown."""
    return lambda start: wait(lambda: element("#asked-title").text.startswith(start))


def test_a_picture_is_dropped_and_searched_for_and_clicked_on(browser, address, shown, element, wait, titled, tmp_path):
    browser.get(address)
    titled("query 0: ")
    assert "0.1234" in element("header").text and browser.execute_script(COUNT) == 15
    wait(lambda: browser.execute_script(INKED) > 500)
    frames = [card.get_attribute("class") for card in browser.find_elements("css selector", "#found button")]
    right = [one["right"] for one in shown.by_query(0)["found"][:15]]
    assert frames == ["right" if good else "wrong" for good in right] and len(set(frames)) == 2

    (tmp_path / "mine.png").write_bytes(png(shown.data.images[shown.data.gallery[33]]))
    element("#file").send_keys(str(tmp_path / "mine.png"))
    titled("mine.png")
    first = element("#found button")
    nearest = shown.by_member(33)["found"][0]["picture"]
    assert element("#found img").get_attribute("src") == address + nearest
    assert first.get_attribute("class") == ""  # nobody knows what is right

    first.click()
    titled("picture ")
    browser.execute_script(SLIDE)
    assert browser.execute_script(COUNT) == 40 and "of 40 right" in element("#summary").text

    browser.execute_script(DROP)
    titled("dropped.png")
    nearest = shown.by_member(44)["found"][0]["picture"]
    assert element("#found img").get_attribute("src") == address + nearest

    element("#query").clear()
    element("#query").send_keys("12\n")
    titled("query 12: ")
    chart = element("#map")
    point = browser.execute_script("const p = points[50]; return p.slice(0, 2).map(s => EDGE + s * (1 - 2 * EDGE))")
    webdriver.ActionChains(browser).move_to_element_with_offset(
        chart, *(round((share - 0.5) * chart.size["width"]) for share in point)).click().perform()
    titled("picture ")

    (tmp_path / "text.png").write_text("no picture")
    element("#file").send_keys(str(tmp_path / "text.png"))
    wait(lambda: "text.png is no picture that can be read" in element("#error").text)
    (tmp_path / "large.png").write_bytes(bytes(server.MOST_BYTES + 1))
    element("#file").send_keys(str(tmp_path / "large.png"))
    wait(lambda: "large.png is larger than 10 MiB" in element("#error").text)

    asked = browser.execute_script(ASKED)
    assert len(asked) > 15 and all(name.startswith((address, "blob:", "data:")) for name in asked)
    complaints = [entry["message"] for entry in browser.get_log("browser")]
    assert all("400 (BAD REQUEST)" in message for message in complaints), complaints
    assert browser.get_screenshot_as_png().startswith(b"\x89PNG")


def test_a_tag_is_typed(browser, element, wait, titled, tmp_path, monkeypatch):
    """By Demo.py, of a WSDHQ that has just been trained, on vectors that come with a picture a class."""
    features, labels = made_up.vectors()
    for name in range(3):
        Image.new("RGB", (32, 32), ("red", "green", "blue")[name]).save(tmp_path / f"{name}.png")
    files = [f"--embeddings={made_up.file(tmp_path / 'v.npz', names=np.array([f'{k}.png' for k in labels]))}",
             f"--tags={made_up.tags(tmp_path / 't.npz', labels)}"]
    run(files, tmp_path, "--iterations=32", "--hidden=[9]")
    served = []

    def serve(gallery, listening, path, *_):
        data, database = gallery.data, gallery.database
        listening.close()
        with serving(gallery, path) as (host, port):
            address = f"http://{host}:{port}/"
            browser.get(address)
            titled("query 0: ")
            element("#word").send_keys("4\n")
            titled("tag 4")
            cards = browser.find_elements("css selector", "#found button")
            images = [card.find_element("css selector", "img") for card in cards]
            wait(lambda: all(image.get_property("naturalWidth") == 32 for image in images))
            numbers = [int(image.get_attribute("src").removeprefix(f"{address}gallery/")[:-4]) for image in images]
            shown = [float(card.text.splitlines()[-1]) for card in cards]
            frames = [card.get_attribute("class") for card in cards]
            element("#word").clear()
            element("#word").send_keys("44\n")
            wait(lambda: "has no tag 44; the nearest are 4, " in element("#error").text)
        distances = 2 - database.codebooks[[0, 1], database.codes].sum(1) @ by_tag.feature(data, 4)
        np.testing.assert_allclose(shown, np.sort(distances)[:15], atol=2e-3)
        np.testing.assert_allclose(distances[numbers], shown, atol=2e-3)
        assert frames == ["right" if data.tags[data.gallery[number], 4] else "wrong" for number in numbers]
        assert (data.labels[data.gallery[numbers]].argmax(1) == 4 // 3).mean() > 0.9  # three words a class
        served.append(gallery)

    monkeypatch.setattr(server, "serve", serve)
    Demo.evaluate(settings(files, tmp_path, "--hidden=[9]", "--serve", "--port=0", own=Demo.Options))
    assert served
