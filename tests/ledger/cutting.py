"""A proxy before PostgreSQL that cuts the connection at a chosen moment: the request is lost, or the answer is."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

PORT = 5432


class Cutting:
    """Forwards sessions to a server's socket; cuts the one that sends a chosen word, once for each time it is armed."""

    def __init__(self, folder: Path, server: Path) -> None:
        """Listen in a folder, as libpq expects it."""
        self.folder = folder
        self.cuts = 0
        self.is_open = True
        self._server = server
        self._word: bytes | None = None
        self._loses_request = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / f".s.PGSQL.{PORT}"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, word: bytes, *, loses_request: bool = False) -> None:
        """Cut the next session that sends this word: after the server has answered it, or before it hears of it."""
        self._loses_request = loses_request
        self._word = word

    def close(self) -> None:
        """Take no more sessions."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self.is_open:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                _Session(self, client, server)

    def reached(self, data: bytes) -> bool:
        """Tell whether this is where to cut."""
        word = self._word
        if word is None or word not in data:
            return False
        self._word = None
        return True

    @property
    def loses_request(self) -> bool:
        """Whether the request is lost, and not the answer."""
        return self._loses_request


class _Session:
    """One forwarded session."""

    def __init__(self, cutting: Cutting, client: socket.socket, server: socket.socket) -> None:
        self._cutting, self._client, self._server = cutting, client, server
        self._is_cut = False
        for pump in (self._requests, self._answers):
            threading.Thread(target=pump, daemon=True).start()

    def _requests(self) -> None:
        for data in _received(self._client):
            if self._cutting.reached(data):
                self._is_cut = True
                if self._cutting.loses_request:
                    break
            with contextlib.suppress(OSError):
                self._server.sendall(data)
        if not self._is_cut or self._cutting.loses_request:
            self._end()

    def _answers(self) -> None:
        for data in _received(self._server):
            if self._is_cut:
                break  # the server has done it and said so; nobody will hear
            with contextlib.suppress(OSError):
                self._client.sendall(data)
        self._end()

    def _end(self) -> None:
        if self._is_cut:
            self._cutting.cuts += 1
            self._is_cut = False
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _received(end: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := end.recv(65_536):
            yield data
