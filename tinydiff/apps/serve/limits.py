"""What the page refuses: files, and large requests."""

import json

MOST_BYTES = 2**16  # of a request: of words and numbers there are never so many


class _SmallRequests:
    """Refuses files and large requests before Gradio sees them, which would keep them; an ASGI middleware.

    What is refused is read to its end and thrown away: most clients read no answer before they have sent all.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        takes_files = any(name == b"content-type" and b"multipart" in kind.lower() for name, kind in scope["headers"])
        body, size, more = b"", 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece, more = message.get("body", b""), message.get("more_body", False)
            size += len(piece)
            if size <= MOST_BYTES and not takes_files:
                body += piece
        if takes_files:
            await _refuse(send, 415, "This page takes words and numbers, and no files.")
        elif size > MOST_BYTES:
            await _refuse(send, 413, f"The request is larger than {MOST_BYTES:,} bytes, and is not read.")
        else:
            again = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def receive_again():
                return next(again, None) or await receive()

            await self.app(scope, receive_again, send)


async def _refuse(send, status, why):
    """Answer a request with an error, in the form of Gradio's own."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})
