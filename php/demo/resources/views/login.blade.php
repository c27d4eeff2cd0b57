<!doctype html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Order desk</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/shared/demo.css">
    <link rel="stylesheet" href="/desk.css">
</head>
<body class="narrow">
    <header>
        <h1>Order desk</h1>
    </header>
    <main>
        <section>
            <h2>Log in</h2>
            <p>
                There are {{ $names->join(', ', ' and ') }}. The password of {{ $names->first() }} is
                <code>{{ $names->first() }}-at-the-desk</code>, and so on. Log in as two of them, in two
                browsers.
            </p>
            <form method="post" action="/login">
                @csrf
                <label for="name">Name</label>
                <input id="name" name="name" value="{{ old('name') }}" required autofocus autocomplete="username" autocapitalize="none">
                <label for="password">Password</label>
                <input id="password" name="password" type="password" required autocomplete="current-password">
                <div class="row">
                    <button>Log in</button>
                    <output data-state="bad" @unless(session('error')) hidden @endunless>{{ session('error') }}</output>
                </div>
            </form>
        </section>
    </main>
</body>
</html>
