def handle(context, payload)
  return context['secrets'][payload['secret']] if payload['secret']

  if payload['log']
    puts "#{payload['log']} out"
    warn "#{payload['log']} err"
  end
  raise payload['fail'] if payload['fail']
  return 'x' * payload['big'] if payload['big']

  exit!(payload['exit']) if payload['exit']
  return spawn('sleep', '1000') if payload['leave']

  if payload['wait']
    File.write(payload['mark'], '')
    sleep 0.005 until File.exist?(payload['wait'])
    return 'gone on'
  end
  payload['echo']
end
