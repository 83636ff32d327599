// What tells of the number outside the bell: the live region, and, where asked for, the title, the icons and a sound.
import { make } from "./dom.js";

const CALM = 5_050; // a timer may be a little early
const NUMBER = /^\(\d+\+?\) /;

/** A screen reader hears one short sentence at most every five seconds. */
export class Status {
  node = make("span", "hidden", { role: "status" });
  fresh = 0;
  last = 0;

  constructor(words) {
    this.words = words;
  }

  add() {
    this.fresh++;
    this.timer ||= setTimeout(() => this.#say(), Math.max(300, this.last + CALM - Date.now()));
  }

  #say() {
    this.timer = 0;
    this.last = Date.now();
    this.node.textContent = this.words.say("new", this.fresh);
    this.fresh = 0;
  }
}

export const short = (count) => (count > 99 ? "99+" : String(count));

export function title(count) {
  const plain = document.title.replace(NUMBER, "");
  document.title = count ? `(${short(count)}) ${plain}` : plain;
}

/** Swaps the page's icon while something is unread, for a file: what a script has drawn does not pass `img-src 'self'`. */
export function favicon(count, url) {
  const link =
    document.querySelector("link[rel~=icon]") ?? document.head.appendChild(make("link", "icon", { rel: "icon" }));
  link.dataset.plain ??= link.href || "/favicon.ico";
  link.href = count ? url : link.dataset.plain;
}

export function appBadge(count) {
  navigator.setAppBadge?.(count).catch(() => {});
}

/** One soft tone. Silent until the visitor has touched the page, as browsers ask. */
export function beep() {
  const audio = new AudioContext();
  const [tone, volume] = [audio.createOscillator(), audio.createGain()];
  volume.gain.value = 0.05;
  tone.frequency.value = 740;
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.15);
  tone.onended = () => audio.close();
}
