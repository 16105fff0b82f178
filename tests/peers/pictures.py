"""Generated pictures, and the answers of a server that gets many things wrong. Needs numpy and OpenCV."""

import gzip

import cv2
import numpy

from picture_server import Answer

JPEG = [("Content-Type", "image/jpeg")]


def pixels(seed, width, height, channels=3):
    """Smooth colours with a little noise: compresses like a photograph."""
    random = numpy.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, channels), dtype=numpy.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
    noise = random.integers(-6, 7, smooth.shape)
    return numpy.clip(smooth.astype(int) + noise, 0, 255).astype(numpy.uint8)


def encode(ending, picture, *options):
    """The bytes of a picture file."""
    done, data = cv2.imencode(f".{ending}", picture, list(options))
    assert done, ending
    return data.tobytes()


def jpeg(seed, width=160, height=120):
    """A small JPEG."""
    return encode("jpg", pixels(seed, width, height))


def wide(seed, bits):
    """A gradient with 16 bits a channel."""
    ramp = numpy.linspace(0, (1 << bits) - 1, 200).astype(numpy.uint16)
    return numpy.repeat(ramp[None, :, None], 100 + seed % 7, axis=0).repeat(3, axis=2)


def answers(seed):
    """Name and answer of one of each kind. Both programs must do the same with each, unless `DELIBERATE` names it."""
    good = jpeg(seed)
    png = encode("png", pixels(seed, 97, 61))
    webp = encode("webp", pixels(seed, 130, 70))
    html = b"<!doctype html><html><body><h1>Not a picture</h1></body></html>" * 5
    yield "good.jpg", Answer(good)
    yield "progressive.jpg", Answer(encode("jpg", pixels(seed, 200, 150), cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    yield "grey.jpg", Answer(encode("jpg", pixels(seed, 120, 90, 1)))
    yield "large.jpg", Answer(jpeg(seed, 640, 480))
    yield "good.png", Answer(png, headers=[("Content-Type", "image/png")])
    yield "alpha.png", Answer(encode("png", pixels(seed, 90, 70, 4)), headers=[("Content-Type", "image/png")])
    yield "grey.png", Answer(encode("png", pixels(seed, 64, 80, 1)), headers=[("Content-Type", "image/png")])
    yield "sixteen-bit.png", Answer(encode("png", wide(seed, 16)), headers=[("Content-Type", "image/png")])
    yield "good.webp", Answer(webp, headers=[("Content-Type", "image/webp")])
    yield "good.gif", Answer(encode("gif", pixels(seed, 50, 40)), headers=[("Content-Type", "image/gif")])
    yield "good.bmp", Answer(encode("bmp", pixels(seed, 33, 44)), headers=[("Content-Type", "image/bmp")])
    yield "good.tiff", Answer(encode("tiff", pixels(seed, 55, 44)), headers=[("Content-Type", "image/tiff")])
    yield "one-pixel.png", Answer(encode("png", pixels(seed, 1, 1)))
    yield "one-pixel.gif", Answer(encode("gif", pixels(seed, 1, 1)))
    yield "thin.jpg", Answer(jpeg(seed, 400, 3))
    yield "too-thin.jpg", Answer(jpeg(seed, 3, 2000))
    yield "png-named.jpg", Answer(png)
    yield "untyped.jpg", Answer(good, headers=[])
    yield "typed-as-text.jpg", Answer(good, headers=[("Content-Type", "text/plain")])
    yield "typed-as-page.jpg", Answer(good, headers=[("Content-Type", "text/html; charset=utf-8")])
    yield "typed-as-bytes", Answer(good, headers=[("Content-Type", "application/octet-stream")])
    for status in (400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 504):
        yield f"status-{status}.jpg", Answer(good, status)
    yield "no-content.jpg", Answer(b"", 204)
    yield "empty.jpg", Answer(b"")
    yield "page.html", Answer(html, headers=[("Content-Type", "text/html")])
    yield "page.jpg", Answer(html)
    yield "text.jpg", Answer(b"just words\n" * 30)
    yield "drawing.svg", Answer(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', headers=[("Content-Type", "image/svg+xml")])
    yield "paper.pdf", Answer(b"%PDF-1.4\n%%EOF\n" * 9, headers=[("Content-Type", "application/pdf")])
    yield "zeros.jpg", Answer(bytes(5000))
    yield "only-a-header.jpg", Answer(good[:20])
    yield "truncated.jpg", Answer(good[: len(good) // 2])
    yield "truncated-late.jpg", Answer(good[: len(good) * 9 // 10])
    yield "truncated.png", Answer(png[: len(png) // 2])
    yield "truncated.webp", Answer(webp[: len(webp) // 2])
    yield "shorter-than-said.jpg", Answer(good, lie=1000)
    yield "packed.jpg", Answer(gzip.compress(good, mtime=0), headers=[*JPEG, ("Content-Encoding", "gzip")])
    for status in (301, 302, 303, 307, 308):
        yield f"redirect-{status}.jpg", Answer(b"", status, [("Location", f"/{seed}/good.jpg")])
    yield "redirect-to-nothing.jpg", Answer(b"", 302, [("Location", "/nowhere.jpg")])
    yield "redirect-to-itself.jpg", Answer(b"", 302, [("Location", f"/{seed}/redirect-to-itself.jpg")])
    yield "redirect-to-file.jpg", Answer(b"", 302, [("Location", "file:///etc/passwd")])
    yield "redirect-without-place.jpg", Answer(b"", 302, [])
    for name, tag in (
        ("noindex", "noindex"),
        ("noai", "noai, nofollow"),
        ("noimageai", "NoImageAI"),
        ("nofollow", "nofollow"),
        ("other-agent", "otherbot: noindex"),
        ("until", "unavailable_after: 25 Jun 2050 15:00:00 PST"),
        ("none", "none"),
    ):
        yield f"tag-{name}.jpg", Answer(good, headers=[*JPEG, ("X-Robots-Tag", tag)])


# What the two do differently on purpose, as (ours, theirs), with the reason.
DELIBERATE = {
    "packed.jpg": ("success", "failed_to_resize", "img2dataset does not undo a content coding that it did not ask for"),
    "empty.jpg": ("failed_to_download", "failed_to_resize", "an answer without a byte is no download"),
    "no-content.jpg": ("failed_to_download", "failed_to_resize", "an answer without a byte is no download"),
    "tag-none.jpg": ("failed_to_download", "success", "`none` means `noindex, nofollow`; img2dataset does not know the word"),
}
