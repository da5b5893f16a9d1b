/**
 * Entry. TensorBoard imports this module and calls render(); a static report inlines it, and it finds
 * its data in <script type="application/json" id="numstab-data">.
 */

import { render as mount } from "preact";
import { AppRoot } from "./app";
import { followTheme } from "./host/theme";
import { EmbeddedSource, HttpSource, type Source } from "./source";

const DATA_ID = "numstab-data";

export function render(
  root: HTMLElement = document.body.appendChild(document.createElement("div")),
  source: Source = new HttpSource(),
): void {
  document.documentElement.lang ||= "en";
  document.title ||= "Numerical health";
  root.id = "numstab";
  followTheme(document.documentElement);
  if (source.live) document.head.append(stylesheet());
  mount(<AppRoot source={source} />, root);
}

function stylesheet(): HTMLLinkElement {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./style.css", import.meta.url).href;
  return link;
}

const embedded = document.getElementById(DATA_ID);
if (embedded) render(undefined, new EmbeddedSource(JSON.parse(embedded.textContent ?? "{}")));
