import json
import sys

import requests

answer = requests.post("https://events.pagerduty.com/v2/enqueue", json=json.loads(sys.argv[1]))
print(answer.status_code, answer.text)
