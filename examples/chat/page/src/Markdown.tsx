import { MarkdownTextPrimitive } from "@assistant-ui/react-markdown";
import remarkGfm from "remark-gfm";

const PLUGINS = [remarkGfm];

/** Words of an answer. Pictures are shown as links: loading one would tell its host that the answer was read. */
export function Markdown() {
  return <MarkdownTextPrimitive className="markdown" remarkPlugins={PLUGINS} smooth={false} components={COMPONENTS} />;
}

const COMPONENTS = {
  img: ({ src, alt }: { src?: string | Blob | undefined; alt?: string | undefined }) => (
    <Outward href={typeof src === "string" ? src : undefined}>{alt || String(src)}</Outward>
  ),
  a: ({ href, children }: { href?: string | undefined; children?: React.ReactNode }) => <Outward href={href}>{children}</Outward>,
};

function Outward({ href, children }: { href: string | undefined; children?: React.ReactNode }) {
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
