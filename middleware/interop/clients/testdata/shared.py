# python3 shared.py urllib3 URL KEY WORKERS CALLS does what shared.mjs does, with urllib3, of Debian's
# python3-urllib3, and three retries.

import concurrent.futures
import json
import sys

import urllib3

_, _, url, key, workers, calls = sys.argv
pool = urllib3.PoolManager(maxsize=int(workers), retries=urllib3.Retry(total=3))


def call(_):
    try:
        response = pool.request("GET", url, headers={"X-API-Key": key})
        return "" if response.status == 200 else "status %d" % response.status
    except urllib3.exceptions.HTTPError as e:
        return str(e)


with concurrent.futures.ThreadPoolExecutor(int(workers)) as executor:
    errors = [e for e in executor.map(call, range(int(calls))) if e]
print(json.dumps({"lost": len(errors), "error": errors[-1] if errors else ""}))
