const options = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
const request = require('https').request('https://events.pagerduty.com/v2/enqueue', options, (answer) => {
  console.log(answer.statusCode);
  answer.resume();
});
request.end(process.argv[2]);
