// River's own pages, mended for those who hear them. Attributes alone are changed: the
// elements are React's.
const set = (selector, name, value) => document.querySelectorAll(selector).forEach((e, i) => {
	const is = value(i);
	if (is === null) e.removeAttribute(name);
	else if (e.getAttribute(name) !== is) e.setAttribute(name, is);
});
const mend = () => {
	set("dl:has(> div > div), dl:has(> div > div) :is(dt, dd), :is(dt, dd):not(dl > *, dl > div > *)", "role", () => "presentation"); // WCAG 1.3.1: by HTML's rules these are no terms
	set("button[aria-label='Job state']", "aria-label", () => null); // WCAG 2.5.3: what is seen, a state and its count, is its name
	set("nav", "aria-label", i => i ? "Job states" : "River");
};
new MutationObserver(mend).observe(document.documentElement, {childList: true, subtree: true});
mend();
