const headers = { 'Content-Type': 'application/json' };
fetch('https://events.pagerduty.com/v2/enqueue', { method: 'POST', headers, body: process.argv[2] })
  .then(async (answer) => console.log(answer.status, await answer.text()));
