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
		s.tab('fleet', _('Fleet'));

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

		o = s.taboption('general', form.ListValue, 'own_phones', _('Phones of this router'),
			_('Its phone ports, or an Asterisk on it: their own copy of each message.'));
		o.value('auto', _('If one has a port of SIP'));
		o.value('on', _('Always'));
		o.value('off', _('Never'));
		o.default = 'auto';

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

		o = s.taboption('reports', form.Value, 'mqtt_name', _('Name in its certificate'),
			_('Empty: the HOST of the broker.'));
		o.datatype = 'maxlength(253)';

		o = s.taboption('reports', form.Value, 'mqtt_cert', _('Certificate of this router'),
			_('PEM file, if the broker asks for one.'));
		o.datatype = 'file';

		o = s.taboption('reports', form.Value, 'mqtt_key', _('Its private key'),
			_('PEM file without a passphrase. Empty: it is in the file of the certificate.'));
		o.datatype = 'file';

		o = s.taboption('reports', form.Value, 'daily_bytes', _('Bytes a day'),
			_('At least 65536. Beyond it reports without harm wait first, findings of harm last.'));
		o.placeholder = '1048576';
		o.datatype = 'min(65536)';

		o = s.taboption('reports', form.Flag, 'flash', _('Outlive a power loss'),
			_('Verdicts that the broker has not got are copied to flash, at most once an hour or 12 kB; while a broker answers, nothing is written.'));

		o = s.taboption('fleet', form.Value, 'cpe', _('Name of this router'),
			_('In reports: letters, digits, -, _ and dots. Empty: the MAC address of the first network of the phones.'));
		o.validate = function(section, value) {
			return !value || /^[A-Za-z0-9_.-]{1,64}$/.test(value) ||
				_('Only letters, digits, -, _ and dots');
		};

		o = s.taboption('fleet', form.DynamicList, 'tags', _('Tags'),
			_('The fleet sorts routers by them, such as region=north.'));
		o.validate = function(section, value) {
			return !value || /^[A-Za-z0-9_.-]+=[A-Za-z0-9_.-]+$/.test(value) ||
				_('This must look like region=north');
		};

		o = s.taboption('fleet', form.Value, 'boot_delay', _('Delay after a boot'),
			_('Seconds; the first connection waits a random part of them, so that after a power cut not all routers come at once.'));
		o.placeholder = '0';
		o.datatype = 'range(0,86400)';

		o = s.taboption('fleet', form.Value, 'commands', _('Key for commands'),
			_('File with the key that the operator shares with this router; algwatch enroll makes it. Empty: no command is taken.'));
		o.datatype = 'file';

		o = s.taboption('fleet', form.Value, 'provider_key', _('Public key of the fleet'),
			_('PEM file. With it, what the fleet knows of a provider, and has signed, counts for the advice here.'));
		o.datatype = 'file';

		return m.render();
	}
});
