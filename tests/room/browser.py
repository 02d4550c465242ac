"""A real Chromium without a screen, its WebGL drawn by the processor."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=1000,640",
)
PATIENCE_S = 300.0  # a busy machine draws WebGL slowly


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Yield the browser; the test is skipped, with the reason, where the system has none."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium with its driver: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = binary
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(PATIENCE_S)
    try:
        yield browser
    finally:
        browser.quit()


def until(browser: webdriver.Chrome, expression: str) -> Any:
    """Wait until an expression of the page is true, and return it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = browser.execute_script(f"return {expression}")
        if found:
            return found
        time.sleep(0.1)
    said = browser.execute_script("return document.getElementById('status')?.textContent")
    raise AssertionError(f"{expression} did not come true; the page says {said!r}")
