"""What the site shows of the repository outside docs/, and links that hold in the repository and on the site alike.

MkDocs calls the functions `on_…`. Documents link to each other and to files by their places in the repository. Here
README and the like become pages, and each file that a page links to becomes a page with its text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Callable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples/agent.md",
    "examples/chat/README.md": "examples/chat.md",
    "examples/lambda/README.md": "examples/lambda.md",
    "examples/chainlit/README.md": "examples/chainlit.md",
    "examples/langgraph_server/README.md": "examples/langgraph_server.md",
}
"""Documents outside docs/, by their paths in the repository, and their pages."""

ORIGINS = {page: origin for origin, page in PAGES.items()}
LINK = re.compile(r'(?P<before>\]\(|(?:src|srcset|href)=")(?P<path>[^)"#:\s]+)(?P<anchor>#[^)"\s]*)?(?P<after>[)"])')
FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n.*?^\1\2 *$", re.MULTILINE | re.DOTALL)
MOST_COLOURED = 100_000
"""Characters of a file up to which its page has colours: they make it ten times as large."""

LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".toml": "toml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents outside docs/, and the files that any document links to."""
    for origin, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / origin)))
    for document in list(files.documentation_pages()):
        for path in targets(document.content_string, document.src_uri):
            page = page_of(path)
            if files.get_file_from_path(page) is None and (ROOT / path).is_file():
                files.append(File.generated(config, page, content=source_page(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point the links of a document at pages."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.relpath(page_of(repository_path(link, page.file.src_uri)), here or ".")
        return f"{link['before']}{target}{link['anchor'] or ''}{link['after']}"

    return outside_fences(lambda text: LINK.sub(moved, text), markdown)


def on_page_content(html: str, **_: object) -> str:
    """Let the cost of a call stand out among what its docstring says."""
    return html.replace("<p>Cost: ", '<p class="cost"><strong>Cost:</strong> ')


def targets(markdown: str, page: str) -> set[str]:
    """The repository paths that a page's links name."""
    return {repository_path(link, page) for link in LINK.finditer(FENCE.sub("", markdown))}


def repository_path(link: re.Match[str], page: str) -> str:
    """The repository path that a link on a page names."""
    origin = ORIGINS.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link["path"]))


def page_of(path: str) -> str:
    """The page or file of the site that shows a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}.md"


def source_page(path: str) -> str:
    """A page with the text of a file, left out of the search."""
    text = (ROOT / path).read_text(encoding="utf-8").rstrip("\n")
    language = LANGUAGES.get(posixpath.splitext(path)[1], "text") if len(text) <= MOST_COLOURED else "text"
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n``````{language}\n{text}\n``````\n"


def outside_fences(change: Callable[[str], str], markdown: str) -> str:
    """Change what is not in a fenced block of code."""
    end, changed = 0, []
    for fence in FENCE.finditer(markdown):
        changed += [change(markdown[end : fence.start()]), fence.group()]
        end = fence.end()
    return "".join([*changed, change(markdown[end:])])
