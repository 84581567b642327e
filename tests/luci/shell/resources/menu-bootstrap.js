// SPDX-License-Identifier: Apache-2.0
// A stand-in for the theme's menu: the tabs of this page.
'use strict';
'require baseclass';

return baseclass.extend({
	__init__: function() {
		fetch(L.url('admin/menu')).then(reply => reply.json()).then(tree => {
			const [ mode, group, app, page ] = L.env.requestpath;
			const tabs = tree.children[mode].children[group].children[app].children;

			document.getElementById('tabmenu').replaceChildren(E('ul', { 'class': 'tabs' },
				Object.keys(tabs).sort((a, b) => tabs[a].order - tabs[b].order).map(name =>
					E('li', { 'class': name == page ? 'active' : '' }, [
						E('a', { 'href': L.url(mode, group, app, name) }, [ tabs[name].title ]) ]))));
			document.getElementById('tabmenu').style.display = '';
		});
	}
});
