"""Vega, Vega-Lite and vega-embed as one script that a page can hold: nothing is fetched when it is opened."""

from functools import cache


@cache
def script() -> str:
    """An ES module that gives the page's other scripts ``vegaEmbed``; about 0.9 MB."""
    import vl_convert

    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    return bundle.replace("</script", "<\\/script")
