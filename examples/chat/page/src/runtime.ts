import { useExternalStoreRuntime, type AppendMessage } from "@assistant-ui/react";
import { useEffect } from "react";
import { useChat, useStore } from "./context";
import { asThreadMessage } from "./messages";
import { shownOf } from "./store";

const textOf = (message: AppendMessage) =>
  message.content.map((part) => (part.type === "text" ? part.text : "")).join("");

/** The store as assistant-ui's runtime, which its components draw from. */
export function useRuntime() {
  const store = useStore();
  const state = useChat();
  const isWaiting = state.chat?.status === "waiting" && !state.live;
  const runtime = useExternalStoreRuntime({
    messages: shownOf(state),
    convertMessage: asThreadMessage,
    isRunning: state.live !== null,
    isLoading: state.isLoading,
    isSendDisabled: !state.isOnline || isWaiting || state.isLoading,
    onNew: (message) => store.say(textOf(message), null),
    onEdit: (message) => store.say(textOf(message), message.sourceId),
    onReload: async (parent) => {
      if (parent !== null) await store.again(parent);
    },
    onCancel: () => store.cancel(),
  });
  useEffect(() => {
    store.restoreDraft = (text) => {
      const { composer } = runtime.thread;
      if (composer.getState().text === "") composer.setText(text);
    };
  }, [store, runtime]);
  return runtime;
}
