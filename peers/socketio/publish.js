// An emitter in a process of its own; takes orders as peers/publisher.py does.
import { Emitter } from "@socket.io/redis-emitter";
import { createInterface } from "node:readline";
import { createClient } from "redis";

const client = createClient({ url: process.env.REDIS_URL });
await client.connect();
// The emitter doesn't say when Redis has taken a message; what we hand it does.
let last;
const emitter = new Emitter({ publish: (channel, message) => (last = client.publish(channel, message)) });

const now = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));
const say = (answer) => process.stdout.write(JSON.stringify(answer, (_, v) => (typeof v === "bigint" ? Number(v) : v)) + "\n");
const text = (n) => `@@${String(n).padStart(10, "0")}:${String(now()).padStart(19, "0")};`.padEnd(200, "x");

async function carryOut({ text: given, number, every, first }) {
  const began = now();
  const start = performance.now();
  for (let n = 0; n < number; n++) {
    const wait = every ? start + n * every * 1000 - performance.now() : 0;
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    emitter.to("all").emit("message", { text: given || text(first + n) });
    await last;
  }
  return { number, errors: 0, error: "", began, ended: now() };
}

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) say(await carryOut(JSON.parse(line)));
await client.quit();
