// What the bell says. The texts come from Django's translations, the rest from Intl.

const DAY = 86_400_000;
const STEPS = [
  [60_000, 1_000, "second"],
  [3_600_000, 60_000, "minute"],
  [DAY, 3_600_000, "hour"],
];

const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);

export class Words {
  constructor(texts, lang) {
    const locale = lang || undefined;
    this.texts = texts;
    this.locale = locale;
    this.plural = new Intl.PluralRules(locale);
    this.relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
    this.day = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
    this.clock = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
    this.full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
  }

  /** The text of `key`; one with plural forms holds them by CLDR category. */
  say(key, n = 0) {
    const text = this.texts[key] ?? key;
    const form = text.other ? (text[this.plural.select(n)] ?? text.other) : text;
    return form.replace("{n}", n.toLocaleString(this.locale));
  }

  ago(time, now) {
    const age = Math.max(0, now - time);
    const step = STEPS.find(([limit]) => age < limit);
    if (!step) return this.clock.format(time);
    const [, unit, name] = step;
    return this.relative.format(name === "second" ? 0 : -Math.floor(age / unit), name);
  }

  group(time, now) {
    const days = Math.round((midnight(time) - midnight(now)) / DAY);
    return days > -2 ? this.relative.format(Math.min(days, 0), "day") : this.day.format(time);
  }
}
