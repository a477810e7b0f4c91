import { createContext, useContext, useSyncExternalStore } from "react";
import type { ChatStore, State } from "./store";

export const StoreContext = createContext<ChatStore | null>(null);

export function useStore(): ChatStore {
  const store = useContext(StoreContext);
  if (store === null) throw new Error("useStore outside of StoreContext");
  return store;
}

export function useChat(): State {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, store.getState);
}
