const MINUTE = 60_000;
const DAY = 86_400_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

const startOfDay = (time: Date) => new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();

/** A time as a list shows it: short, and shorter the nearer it is. */
export function shortTime(text: string, now = new Date()): string {
  const time = new Date(text);
  if (now.getTime() - time.getTime() < MINUTE) return "now";
  const days = Math.round((startOfDay(now) - startOfDay(time)) / DAY);
  if (days < 1) return clock.format(time);
  if (days < 7) return weekday.format(time);
  return (time.getFullYear() === now.getFullYear() ? day : dayOfYear).format(time);
}

/** The heading that a list shows above a time. */
export function groupOf(text: string, now = new Date()): string {
  const days = Math.round((startOfDay(now) - startOfDay(new Date(text))) / DAY);
  if (days < 1) return "Today";
  if (days < 2) return "Yesterday";
  if (days < 7) return "Previous 7 days";
  return days < 30 ? "Previous 30 days" : "Older";
}

export const wholeTime = (time: Date) => whole.format(time);
