// SPDX-License-Identifier: Apache-2.0
'use strict';
'require form';
'require view';

return view.extend({
	render: function() {
		const m = new form.Map('algwatch', _('Settings'),
			_('It works as it stands: without a list of networks, it watches those of the firewall. Without a broker nothing leaves this router.'));
		const s = m.section(form.NamedSection, 'main', 'algwatch');
		let o;

		s.addremove = false;
		s.tab('general', _('General'));
		s.tab('reports', _('Reports to a broker'));

		o = s.taboption('general', form.Flag, 'enabled', _('Watch'));
		o.default = '1';
		o.rmempty = false;

		o = s.taboption('general', form.DynamicList, 'lan', _('Networks of the phones'),
			_('Such as lan, or the device br-lan. Empty: all networks of the firewall that do not masquerade.'));
		o.datatype = 'maxlength(32)';

		o = s.taboption('general', form.DynamicList, 'wan', _('Networks of the provider'),
			_('Such as wan, and a network of its own for voice. Empty: all that masquerade.'));
		o.datatype = 'maxlength(32)';

		o = s.taboption('general', form.DynamicList, 'ports', _('Ports of SIP'),
			_('Empty: 5060 and 5080. Messages on other ports are seen, too.'));
		o.datatype = 'port';

		o = s.taboption('general', form.Flag, 'media', _('Count audio'),
			_('By the connections of the firewall, so that one-way audio is seen. No sound is recorded.'));
		o.default = '1';
		o.rmempty = false;

		o = s.taboption('general', form.Flag, 'privacy', _('Pseudonyms'),
			_('Names and numbers of people are replaced, here, in the log and in reports.'));
		o.default = '1';
		o.rmempty = false;

		o = s.taboption('reports', form.Value, 'mqtt', _('Broker'),
			_('mqtt://HOST or mqtts://HOST; empty: nothing is sent anywhere.'));
		o.placeholder = 'mqtts://broker.example.net';
		o.validate = function(section, value) {
			return !value || /^mqtts?:\/\/[^\s/]+\/?$/.test(value) ||
				_('This must look like mqtts://broker.example.net');
		};

		o = s.taboption('reports', form.Value, 'mqtt_user', _('User'));

		o = s.taboption('reports', form.Value, 'mqtt_password', _('Password'));
		o.password = true;

		o = s.taboption('reports', form.Value, 'mqtt_ca', _('Authority'),
			_('PEM file of the authorities that the certificate of the broker must come from.'));
		o.datatype = 'file';

		o = s.taboption('reports', form.Value, 'cpe', _('Name of this router'),
			_('In reports. Empty: the MAC address of the first network of the phones.'));
		o.datatype = 'maxlength(64)';

		return m.render();
	}
});
