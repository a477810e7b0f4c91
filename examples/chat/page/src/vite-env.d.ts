/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** The API's address, without a slash at its end; empty where the page's own host has it. */
  readonly VITE_API_URL: string;
}
