"""A reader at the page, in a real browser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tests.room.browser import until
from tests.room.serving import Server

IDLE = "document.body.dataset.busy === ''"


@dataclass
class Sitting:
    """The page of one reader, and everything that it asked for."""

    browser: webdriver.Chrome
    server: Server

    def open(self) -> None:
        self.browser.get(self.server.address)
        until(self.browser, "document.body.dataset.ready === 'yes'")

    def run(self, script: str, *given: object) -> object:
        return self.browser.execute_script(script, *given)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.browser.find_element(By.TAG_NAME, "body").send_keys(key)
            until(self.browser, IDLE)

    def go(self, participant: str, visit: str) -> None:
        self.run(f"document.querySelector('[data-participant={participant}]').click()")
        until(self.browser, f"{IDLE} && room.scene.participant === '{participant}'")
        self.run(f"document.querySelector('[data-visit={visit}]').click()")
        until(self.browser, f"{IDLE} && room.scene.participant === '{participant}' && room.scene.shown === '{visit}'")

    def text(self, name: str) -> str:
        return self.browser.find_element(By.ID, name).text

    def drag_from_the_crosshair(self, dx: int, dy: int) -> None:
        """Drag with the left button in the judged viewer, from where the crosshair is."""
        at = self.run(
            "const v = room.pair.viewers.find(v => v.figure.classList.contains('judged'));"
            "const [x, y] = v.nv.frac2canvasPos(v.nv.scene.crosshairPos), d = v.nv.uiData.dpr || 1;"
            "const b = v.canvas.getBoundingClientRect(); return [x / d - b.width / 2, y / d - b.height / 2]"
        )
        canvas = self.browser.find_element(By.CSS_SELECTOR, "figure.judged canvas")
        chain = ActionChains(self.browser).move_to_element_with_offset(canvas, *at)  # type: ignore[misc]
        chain.click_and_hold().move_by_offset(dx, dy).release().perform()

    def comment(self, text: str) -> None:
        self.browser.find_element(By.ID, "comment").send_keys(text)
        self.run("document.activeElement.blur()")

    def changed_voxels(self) -> int:
        script = "const d = room.drawing; return d.labels.reduce((n, v, i) => n + (v !== d.original[i]), 0)"
        return int(self.run(script))  # type: ignore[call-overload]

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def addresses(self) -> set[str]:
        events = (json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance"))
        urls = (e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent")
        return {urlsplit(url).scheme + "://" + urlsplit(url).netloc for url in urls}
