// node shared.mjs CLIENT URL KEY WORKERS CALLS makes calls with one of the clients below, by
// so many workers at once, and prints as JSON how many calls were lost: denied until the
// client gave up. The clients have their default settings, with two or three retries.

import axios from 'axios';
import axiosRetry from 'axios-retry';
import got from 'got';
import ky from 'ky';

const [client, url, key, workers, calls] = process.argv.slice(2);
const headers = { 'X-API-Key': key };

axiosRetry(axios);

const get = {
  axios: () => axios.get(url, { headers }),
  got: () => got(url, { headers }).text(),
  ky: () => ky.get(url, { headers }).text(),
}[client];

const outcome = { lost: 0, error: '' };
let left = Number(calls);

async function work() {
  while (left-- > 0) {
    try {
      await get();
    } catch (e) {
      outcome.lost++;
      outcome.error = e.message;
    }
  }
}

await Promise.all(Array.from({ length: Number(workers) }, work));
console.log(JSON.stringify(outcome));
