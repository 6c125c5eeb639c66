// node axios.mjs URL KEY CALLS calls an API with axios and axios-retry as they come, one
// call after the other until one fails, and prints what became of that as JSON.

import axios from 'axios';
import axiosRetry from 'axios-retry';

const [url, key, calls] = process.argv.slice(2);

axiosRetry(axios);

const outcome = { finished: 0, error: '' };
try {
  while (outcome.finished < Number(calls)) {
    await axios.get(url, { headers: { 'X-API-Key': key } });
    outcome.finished++;
  }
} catch (e) {
  outcome.error = e.message;
}
console.log(JSON.stringify(outcome));
