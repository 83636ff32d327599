// One browser, many tabs: a Web Lock elects the one that holds the connection, a BroadcastChannel tells the others.

/** Calls `got` once this tab holds the lock `name`, `lost` if another tab takes it. Returns how to give it up. */
export function hold(name, got, lost, steal) {
  const give = new AbortController();
  const { signal } = give;
  const held = () => new Promise((done) => (signal.addEventListener("abort", done), got()));
  if (navigator.locks)
    navigator.locks.request(name, steal ? { steal } : { signal }, held).catch(() => signal.aborted || lost?.());
  else got();
  return () => give.abort();
}

export class Tabs {
  leads = false;

  /** `name` holds the user's key, so that two users of one browser never meet. Without one, or without locks: alone. */
  constructor(name, { lead, follow, hear }) {
    Object.assign(this, { name, lead, follow });
    this.channel = name && navigator.locks && new BroadcastChannel(name);
    if (this.channel) this.channel.onmessage = ({ data }) => hear(data);
    if (this.channel) this.stand();
    else this.#won();
  }

  /** Stands in line for the lead; with `steal`, takes it from a tab that answers no more. */
  stand(steal) {
    this.leave?.();
    this.leave = hold(
      this.name,
      () => this.#won(),
      () => this.#beaten(),
      steal,
    );
  }

  post(message) {
    this.channel?.postMessage(message);
  }

  close() {
    this.leads = false;
    this.leave?.();
    this.channel?.close();
    this.channel = null;
  }

  #won() {
    this.leads = true;
    this.lead();
  }

  #beaten() {
    this.leads = false;
    this.follow();
    this.stand();
  }
}
