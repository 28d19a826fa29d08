// The address bar as state. Links are plain links; clicks on those of the dashboard stay in the page.

import { BASE, parseRoute, routeHref, type KnownRoute, type Route } from "./route";

const current = $state<{ route: Route }>({ route: parseRoute(location) });

export function route(): Route {
  return current.route;
}

/** `replace` for steps that «back» should not walk through, such as choosing a span. */
export function go(to: KnownRoute, how: "push" | "replace" = "push"): void {
  const href = routeHref(to);
  if (href === location.pathname + location.search) return;
  history[how === "push" ? "pushState" : "replaceState"](null, "", href);
  current.route = to;
}

function followsHere(event: MouseEvent, link: HTMLAnchorElement): boolean {
  const plain =
    event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  const own = link.origin === location.origin && link.pathname.startsWith(BASE);
  return plain && own && link.target === "" && !link.hasAttribute("download");
}

/** Begins to follow links and the browser's own steps; returns how to end it. */
export function startRouter(): () => void {
  const onPop = (): void => {
    current.route = parseRoute(location);
  };
  const onClick = (event: MouseEvent): void => {
    if (event.defaultPrevented || !(event.target instanceof Element)) return;
    const link = event.target.closest("a[href]");
    if (!(link instanceof HTMLAnchorElement) || !followsHere(event, link)) return;
    // A link within the page (#content) is the browser's.
    if (link.hash && link.pathname === location.pathname) return;
    event.preventDefault();
    const next = parseRoute(link);
    if (next.page === "unknown") location.assign(link.href);
    else {
      go(next);
      window.scrollTo(0, 0);
    }
  };
  addEventListener("popstate", onPop);
  document.addEventListener("click", onClick);
  return () => {
    removeEventListener("popstate", onPop);
    document.removeEventListener("click", onClick);
  };
}
