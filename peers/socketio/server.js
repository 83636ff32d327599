// Socket.IO with the Redis adapter: node server.js PORT. A room for everybody; it knows no users.
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { createServer } from "node:http";
import { Server } from "socket.io";

const publishing = createClient({ url: process.env.REDIS_URL });
const listening = publishing.duplicate();
await Promise.all([publishing.connect(), listening.connect()]);

process.on("SIGUSR2", () => globalThis.gc());
const http = createServer();
const io = new Server(http, { adapter: createAdapter(publishing, listening), transports: ["websocket"] });
io.on("connection", (socket) => socket.join("all"));
http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 2048 }, () => console.log("Listening"));
