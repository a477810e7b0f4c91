import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { Icon, type IconName } from "./icons";

export interface MenuItem {
  icon: IconName;
  text: string;
  isDangerous?: boolean;
  run: () => void;
}

/** A button that opens a menu; arrow keys go through it, Escape closes it. */
export function Menu({ label, items }: { label: string; items: MenuItem[] }) {
  const [at, setAt] = useState<{ top: number; right: number } | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const close = () => {
    setAt(null);
    button.current?.focus();
  };
  useEffect(() => {
    if (at === null) return;
    list.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const outside = (event: Event) => {
      const target = event.target as Node;
      if (!list.current?.contains(target) && !button.current?.contains(target)) setAt(null);
    };
    const gone = () => setAt(null);
    document.addEventListener("pointerdown", outside);
    window.addEventListener("resize", gone);
    document.addEventListener("scroll", gone, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      window.removeEventListener("resize", gone);
      document.removeEventListener("scroll", gone, true);
    };
  }, [at]);

  const toggle = () => {
    if (at !== null) return setAt(null);
    const place = button.current!.getBoundingClientRect();
    const height = items.length * 38 + 12;
    const top = place.bottom + height > innerHeight ? place.top - height - 4 : place.bottom + 4;
    setAt({ top, right: Math.max(8, innerWidth - place.right) });
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className="icon-button"
        aria-haspopup="menu"
        aria-expanded={at !== null}
        {...(at === null ? {} : { "aria-controls": id })}
        aria-label={label}
        title={label}
        onClick={toggle}
      >
        <Icon name="more" />
      </button>
      {at !== null && (
        <div ref={list} id={id} className="menu" role="menu" aria-label={label} style={at} onKeyDown={(event) => move(event, close)}>
          {items.map((item) => (
            <button
              key={item.text}
              type="button"
              role="menuitem"
              tabIndex={-1}
              className={item.isDangerous ? "menu-item dangerous" : "menu-item"}
              onClick={() => {
                close();
                item.run();
              }}
            >
              <Icon name={item.icon} size={16} />
              {item.text}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

function move(event: KeyboardEvent<HTMLDivElement>, close: () => void) {
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=menuitem]")];
  const place = items.indexOf(document.activeElement as HTMLElement);
  const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: items.length - 1 }[event.key];
  if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    close();
  } else if (next !== undefined) {
    event.preventDefault();
    items.at(next % items.length)?.focus();
  }
}
