"""Whether a server can be reached."""

import queue
import threading
import urllib.error
import urllib.request

PATIENCE = 0.6  # seconds until a host counts as out of reach


def reachable(url: str) -> bool:
    """Whether a host answers within 0.6 seconds, looking up its name included."""
    answers: queue.Queue[bool] = queue.Queue()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE).close()
        except urllib.error.HTTPError:
            answers.put(True)
        except OSError:
            answers.put(False)
        else:
            answers.put(True)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=PATIENCE)
    except queue.Empty:
        return False
