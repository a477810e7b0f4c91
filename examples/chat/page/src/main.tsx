import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { ChatStore } from "./store";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/thread.css";

const store = new ChatStore();
store.start();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App store={store} />
  </StrictMode>,
);
