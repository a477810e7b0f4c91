import { useEffect, useState } from "react";

export type Theme = "system" | "light" | "dark";

const KEY = "chat-theme";
const THEMES: Theme[] = ["system", "light", "dark"];

function stored(): Theme {
  const found = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === found) ?? "system";
}

/** The chosen colours, kept in this browser, and what chooses the next ones. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState(stored);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEY, theme);
  }, [theme]);
  return [theme, () => setTheme((now) => THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]!)];
}
