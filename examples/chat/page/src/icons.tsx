/** Drawn on a grid of 24, by strokes in the colour of the text. */

const PATHS = {
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M8 8h8v8H8z",
  copy: "M9 9h10v10H9zM5 15V5h10",
  check: "M5 12.500l4.500 4.500L19 7.5",
  edit: "M4 20h4L19 9l-4-4L4 16zM13.500 6.500l4 4",
  again: "M4 11a8 8 0 0 1 14-4.500L20 9M20 4v5h-5M20 13a8 8 0 0 1-14 4.500L4 15M4 20v-5h5",
  down: "M12 5v14M6 13l6 6 6-6",
  chevron: "M9 6l6 6-6 6",
  tool: "M14.500 6.500a4 4 0 0 0-5.2 5.200L4 17l3 3 5.3-5.300a4 4 0 0 0 5.2-5.200L15 12l-3-3z",
  shield: "M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6zM9 12l2 2 4-4",
  alert: "M12 8v5M12 16.500h.01M12 3l9.500 17h-19z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M19 5l-1.5 1.500M6.500 17.500L5 19",
  moon: "M20 14.500A8.500 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  leave: "M14 4H6v16h8M10 12h10M17 8.500l3.500 3.5-3.5 3.5",
  search: "M10.500 4a6.500 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.500 15.500L20 20",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill={name === "stop" ? "currentColor" : "none"}
      stroke="currentColor"
      strokeWidth={name === "more" ? 2.8 : 1.8}
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The turning ring of what is under way. */
export function Spinner() {
  return <span className="spinner" aria-hidden="true" />;
}
